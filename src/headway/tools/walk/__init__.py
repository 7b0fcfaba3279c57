"""The same service in stages, and what each optimisation brings."""
