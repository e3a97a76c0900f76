"""Conversations, their messages, and the timeline of what happened in them."""
