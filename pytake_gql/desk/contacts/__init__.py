"""The people who write in, and who they are on each channel."""
