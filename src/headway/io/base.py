"""What an IO descriptor is: bytes to the API function's argument, result to bytes.

service keeps one for the input and one for the output of each API; api/endpoint calls
decode and encode on the hot path; http/openapi asks for the schema.
"""

from abc import ABC, abstractmethod
from typing import Any

__all__ = ["IODescriptor"]


class IODescriptor(ABC):
    """Turns a request body into an argument and a result into a response body.

    A descriptor holds no state that a request changes: one instance serves all of
    them. Sub-classes make their encoders and decoders once, in the constructor.
    """

    @abstractmethod
    def decode(self, body: bytes, content_type: str | None) -> Any:
        """Return the API function's argument.

        Args:
            body: The request's whole body.
            content_type: The Content-Type header as sent, or None.

        Raises:
            BadInputError: If the body is not what the descriptor asks for.
            UnsupportedMediaTypeError: If the descriptor does not take that type.
        """

    @abstractmethod
    def encode(self, value: Any, accept: str | None) -> tuple[str, bytes]:
        """Return (content type, body) of a result.

        Args:
            value: What the API function returned.
            accept: The Accept header as sent, or None.

        Raises:
            OutputError: If the value cannot be put in that form.
        """

    @abstractmethod
    def openapi_content(self) -> dict[str, Any]:
        """Return OpenAPI 3.1 `content`: media type to {"schema", "example"}."""

    def openapi_components(self) -> dict[str, Any]:
        """Return schemas that `openapi_content` refers to, by name."""
        return {}
