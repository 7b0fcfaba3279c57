"""The same four models as a service of each server; a folder for each."""
