"""What an IO descriptor is, and how descriptors read Content-Type and Accept headers.

service/api holds one descriptor for the input and one for the output of each API.
api/endpoint calls decode and encode for every request; http/openapi reads the schemas.
"""

from abc import ABC, abstractmethod
from functools import lru_cache
from typing import Any

from headway.errors import OutputError, UnsupportedMediaTypeError


class IODescriptor(ABC):
    """Turns a request body into an argument and a result into a response body.

    One instance serves all requests, so requests must not change its state.
    Sub-classes create their encoders and decoders once, in the constructor.
    """

    @abstractmethod
    def decode(self, body: bytes, content_type: str | None) -> Any:
        """Return the API function's argument.

        Args:
            body: The request's whole body.
            content_type: The Content-Type header as sent, or None.

        Raises:
            BadInputError: If the body is not valid for this descriptor.
            UnsupportedMediaTypeError: If the descriptor does not accept that type.
        """

    @abstractmethod
    def encode(self, value: Any, accept: str | None) -> tuple[str, bytes]:
        """Return (content type, body) of a result.

        Args:
            value: What the API function returned.
            accept: The Accept header as sent, or None.

        Raises:
            OutputError: If the value cannot be encoded.
        """

    @abstractmethod
    def openapi_content(self) -> dict[str, Any]:
        """Return OpenAPI 3.1 `content`: media type to {"schema", "example"}."""

    def openapi_components(self) -> dict[str, Any]:
        """Return the schemas that `openapi_content` refers to, by name."""
        return {}


class Nothing(IODescriptor):
    """No body: the input of API functions without a parameter, made by service/api."""

    def decode(self, body: bytes, content_type: str | None) -> None:  # noqa: D102
        return None

    def encode(self, value: Any, accept: str | None) -> tuple[str, bytes]:  # noqa: D102
        if value is not None:
            raise OutputError(
                f"the API function's result is of type {type(value).__name__}, but the "
                "function is declared to return nothing"
            )
        return "text/plain; charset=utf-8", b""

    def openapi_content(self) -> dict[str, Any]:  # noqa: D102
        return {}


# By default curl sends a form's type and many clients send octet-stream. Decoding such
# a body as text serves their users better than a 415.
_TEXTUAL = frozenset(
    {
        "application/json",
        "application/octet-stream",
        "application/x-ndjson",
        "application/x-www-form-urlencoded",
        "application/xml",
        "application/yaml",
    }
)
_UTF8 = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


@lru_cache(maxsize=256)
def parse_media_type(header: str) -> tuple[str, str | None]:
    """Return (media type, charset) of a Content-Type header, in lower case."""
    name, charset = _parameter(header, "charset")
    return name, (charset or "").strip("\"'").lower() or None


def _parameter(text: str, wanted: str) -> tuple[str, str | None]:
    """Return a media type in lower case, and the value of one of its parameters."""
    name, *parameters = text.split(";")
    found = None
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == wanted:
            found = value.strip()
    return name.strip().lower(), found


@lru_cache(maxsize=256)
def _is_utf8_text(header: str) -> bool:
    name, charset = parse_media_type(header)
    textual = not name or name.startswith("text/") or name in _TEXTUAL
    textual = textual or name.endswith(("+json", "+xml"))
    return textual and (charset is None or charset in _UTF8)


def require_utf8_text(header: str, wanted: str) -> None:
    """Check that a body with this Content-Type header can be UTF-8 text.

    Args:
        header: The Content-Type header as sent.
        wanted: The media type to name in the message.

    Raises:
        UnsupportedMediaTypeError: If it is not text, or text in another charset.
    """
    if not _is_utf8_text(header):
        raise UnsupportedMediaTypeError(
            f"this API accepts {wanted} in UTF-8, but the request's Content-Type is "
            f"{header[:100]!r}"
        )


@lru_cache(maxsize=256)
def negotiate(accept: str, offered: tuple[str, ...]) -> str:
    """Return the offered media type that an Accept header prefers.

    The first one wins a tie. It is also used when none is acceptable: a response in
    another format is more useful than a 406 without content.

    Args:
        accept: The Accept header as sent.
        offered: Media types in the server's order of preference.
    """
    ranges = dict(_accept_range(part) for part in accept.split(","))

    def quality(name: str) -> float:
        for candidate in (name, name.partition("/")[0] + "/*", "*/*"):
            if candidate in ranges:
                return ranges[candidate]
        return 0.0

    return max(offered, key=quality)


def _accept_range(part: str) -> tuple[str, float]:
    name, quality = _parameter(part, "q")
    try:
        return name, 1.0 if quality is None else min(1.0, max(0.0, float(quality)))
    except ValueError:
        return name, 0.0
