"""Checks that a method returns the same results in a batch as for each row alone."""
