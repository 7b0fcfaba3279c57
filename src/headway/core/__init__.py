"""The vocabulary that every layer shares: time, logging, run folder, method specs."""
