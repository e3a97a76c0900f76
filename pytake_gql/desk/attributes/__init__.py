"""Custom fields of contacts: which keys there are, and what their values may be."""
