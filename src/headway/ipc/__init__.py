"""Frames between processes: calls, results and the channels that carry them."""
