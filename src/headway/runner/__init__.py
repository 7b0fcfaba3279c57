"""The runner: one queue, one scheduler, replicas that compute."""
