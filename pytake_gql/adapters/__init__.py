"""The outside world, each behind the port of a domain."""
