"""The organization's AI: what others may ask of it."""
