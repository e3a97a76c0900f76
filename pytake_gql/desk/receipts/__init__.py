"""Telling the provider that a member has read what a contact wrote."""
