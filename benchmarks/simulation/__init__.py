"""The production scheduler and its rivals, in virtual time, on the same traffic."""
