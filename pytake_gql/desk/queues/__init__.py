"""What a queue is. What moves through it is routing."""
