"""What the rest stands on: it knows no domain."""
