"""People talking: queues, contacts, channels, conversations."""
