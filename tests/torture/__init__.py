"""Faults by the minute, and a checker that believes nobody: `make torture`."""
