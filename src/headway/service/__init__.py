"""What users write: a Service, its API functions, Runnables and Runners."""
