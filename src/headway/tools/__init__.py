"""Mocked traffic, and what is learned from it: load tests, the walk, the tuner."""
