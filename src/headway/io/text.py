"""Plain text bodies in UTF-8.

Users create one per API, or service/api derives it from the type hint `str`.
"""

from typing import Any, Self

import numpy as np

from headway.errors import BadInputError, OutputError
from headway.io.base import IODescriptor, require_utf8_text

_TYPE = "text/plain"
_OUTPUT_TYPE = "text/plain; charset=utf-8"


class Text(IODescriptor):
    """The body as text, in UTF-8."""

    def __init__(self) -> None:
        self._sample: str | None = None

    @classmethod
    def from_sample(cls, sample: str) -> Self:
        """Return a descriptor documented by a sample.

        Args:
            sample: The example in the documentation.
        """
        descriptor = cls()
        descriptor._sample = str(sample)
        return descriptor

    def decode(self, body: bytes, content_type: str | None) -> str:  # noqa: D102
        if content_type is not None and content_type != _TYPE:
            require_utf8_text(content_type, _TYPE)
        try:
            return body.decode()
        except UnicodeDecodeError as error:
            raise BadInputError(
                f"the text is not valid UTF-8: {error.reason} at byte {error.start}"
            ) from error

    def encode(self, value: Any, accept: str | None) -> tuple[str, bytes]:  # noqa: D102
        if not isinstance(value, str):
            if not isinstance(value, int | float | np.generic):
                raise OutputError(
                    f"the API function's result is a {type(value).__name__}; Text() "
                    "needs a str"
                )
            value = str(value)
        try:
            return _OUTPUT_TYPE, value.encode()
        except UnicodeEncodeError as error:
            raise OutputError(
                "the API function's text cannot be encoded as UTF-8: "
                f"{error.reason} at character {error.start}"
            ) from error

    def openapi_content(self) -> dict[str, Any]:  # noqa: D102
        content: dict[str, Any] = {"schema": {"type": "string"}}
        if self._sample is not None:
            content["example"] = self._sample
        return {_TYPE: content}
