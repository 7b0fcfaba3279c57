"""Headway and its peers, one after the other, on the same models and loads."""
