"""The hop between API workers, runners and replicas: frames over channels."""
