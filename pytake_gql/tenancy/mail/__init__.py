"""Mails to persons: written with the transaction that causes them, sent by a worker."""
