"""Finds the settings that keep a latency target at the highest request rate."""
