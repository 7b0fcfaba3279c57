"""Compares Headway with its peers on the same models and loads."""
