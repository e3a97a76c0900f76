"""Flows: what a bot says, asks and decides; immutable versions, one pure engine, and a simulation that is the same."""
