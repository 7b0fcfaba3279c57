"""Whether a method gives the same in a batch as it does for each row alone."""
