"""Micro-benchmarks: one file, one question, no server."""
