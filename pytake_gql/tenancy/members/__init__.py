"""Persons (accounts) and what they are inside an organization (members); invitations."""
