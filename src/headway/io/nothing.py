"""No body: the input of API functions without a parameter.

service/derive makes one; users never do.
"""

from typing import Any

from headway.errors import OutputError
from headway.io.base import IODescriptor

__all__ = ["Nothing"]


class Nothing(IODescriptor):
    """Ignores whatever body is sent."""

    def decode(self, body: bytes, content_type: str | None) -> None:  # noqa: D102
        return None

    def encode(self, value: Any, accept: str | None) -> tuple[str, bytes]:  # noqa: D102
        if value is not None:
            raise OutputError(
                f"the API function's result is a {type(value).__name__}; it was "
                "declared to return nothing"
            )
        return "text/plain; charset=utf-8", b""

    def openapi_content(self) -> dict[str, Any]:  # noqa: D102
        return {}
