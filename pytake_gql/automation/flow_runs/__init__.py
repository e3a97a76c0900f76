"""Flows that run in conversations: one transaction a step, timers and effects that survive everything (F1-F5)."""
