"""The version of Headway: the build, the store, OpenAPI and the metrics read it."""

__version__ = "0.1.0"
