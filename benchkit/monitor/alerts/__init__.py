"""Telling people and systems of a change: one message for each change of state, through sinks that may fail."""
