"""Departments: the parts of a company that own queues."""
