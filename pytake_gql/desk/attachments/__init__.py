"""Attachments: files that travel with messages; announced, uploaded by HTTP, looked at, served as downloads."""
