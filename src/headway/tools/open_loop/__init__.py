"""Open-loop traffic: requests at a given rate, and their outcomes."""
