"""Saved models on disk: tags, records, atomic publishing, archives."""
