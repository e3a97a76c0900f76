"""What acts by itself: flows, their runs, automations."""
