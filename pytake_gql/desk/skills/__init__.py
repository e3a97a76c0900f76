"""Skills: what members are good at, and how good. Queues ask for them, routing compares."""
