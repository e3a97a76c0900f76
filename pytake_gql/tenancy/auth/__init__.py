"""Signing in: passwords, sessions, refresh tokens, and what a token still stands for."""
