"""The contact's side of a web chat: the public door."""
