"""`headway.io`: descriptors of what API functions accept and return."""

from headway.io.base import IODescriptor
from headway.io.json import JSON
from headway.io.numpy import NumpyNdarray
from headway.io.text import Text

__all__ = ["JSON", "IODescriptor", "NumpyNdarray", "Text"]
