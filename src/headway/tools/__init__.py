"""Tools that measure a service: load tests, the tuner, the walk, and the check."""
