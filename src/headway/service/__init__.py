"""What a user writes: a Service, its API functions, Runnables and Runners."""
