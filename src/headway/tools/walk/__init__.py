"""Measures a service in stages, to show the gain of each optimisation."""
