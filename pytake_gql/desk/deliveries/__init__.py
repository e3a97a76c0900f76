"""What the providers of channels deliver: messages of contacts, and what became of ours."""
