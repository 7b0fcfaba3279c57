"""Finds the settings with which a service keeps a latency at the highest rate."""
