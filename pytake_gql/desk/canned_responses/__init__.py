"""Canned responses: texts that are said often, found by a shortcut."""
