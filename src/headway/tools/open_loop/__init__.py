"""Requests that come at a given rate, whatever the server does, and their outcomes."""
