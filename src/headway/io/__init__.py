"""Descriptors of what API functions take and return.

Users import them from here; service keeps them, api/endpoint calls them.
"""

from headway.io.base import IODescriptor
from headway.io.json import JSON
from headway.io.numpy import NumpyNdarray
from headway.io.text import Text

__all__ = ["JSON", "IODescriptor", "NumpyNdarray", "Text"]
