"""A recorder that behaves like Meta's servers: for tests, and for newcomers without an account there."""
