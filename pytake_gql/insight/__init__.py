"""What listens and never acts: audit."""
