"""Benchmarks: each file answers one question; `scripts/bench NAME` runs it."""
