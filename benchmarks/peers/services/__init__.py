"""The same models as a service of each server, one folder per server."""
