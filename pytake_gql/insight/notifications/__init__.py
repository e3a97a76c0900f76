"""What a member should know about: written by what happened, told live, read once."""
