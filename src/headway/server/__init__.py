"""Processes and wiring: assembly, supervisor, child processes, sockets."""
