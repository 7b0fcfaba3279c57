"""Content-Type and Accept headers: what was sent, and what to answer with.

The descriptors of io/ call it when a header is not the common one; it calls nothing.
"""

from functools import lru_cache
from typing import NamedTuple

from headway.errors import UnsupportedMediaTypeError

__all__ = ["MediaType", "negotiate", "parse_media_type", "require_utf8_text"]

# curl sends a form's type unless told otherwise, many clients send octet-stream: a
# body that is text all the same is worth more to their users than a 415.
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


class MediaType(NamedTuple):
    """A Content-Type header, taken apart."""

    name: str
    charset: str | None


@lru_cache(maxsize=256)
def parse_media_type(header: str) -> MediaType:
    """Return the media type and charset of a Content-Type header, in lower case."""
    name, *parameters = header.split(";")
    charset = None
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "charset":
            charset = value.strip().strip("\"'").lower() or None
    return MediaType(name.strip().lower(), charset)


@lru_cache(maxsize=256)
def _is_utf8_text(header: str) -> bool:
    name, charset = parse_media_type(header)
    textual = not name or name.startswith("text/") or name in _TEXTUAL
    textual = textual or name.endswith(("+json", "+xml"))
    return textual and (charset is None or charset in _UTF8)


def require_utf8_text(header: str, wanted: str) -> None:
    """Check that a body of that Content-Type can be UTF-8 text.

    Args:
        header: The Content-Type header as sent.
        wanted: The media type to name in the message.

    Raises:
        UnsupportedMediaTypeError: If it is no text, or text of another charset.
    """
    if not _is_utf8_text(header):
        raise UnsupportedMediaTypeError(
            f"this API takes {wanted} in UTF-8, the request's Content-Type is "
            f"{header[:100]!r}"
        )


@lru_cache(maxsize=256)
def negotiate(accept: str, offered: tuple[str, ...]) -> str:
    """Return the offered media type that an Accept header likes best.

    The first one offered wins a tie, and also when none is acceptable: an answer in
    another form says more than a 406 without one.

    Args:
        accept: The Accept header as sent.
        offered: Media types in the server's order of preference.
    """
    ranges = [_accept_range(part) for part in accept.split(",")]
    return max(offered, key=lambda name: _quality(name, ranges))


def _accept_range(part: str) -> tuple[str, float]:
    name, *parameters = part.split(";")
    quality = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "q":
            try:
                quality = min(1.0, max(0.0, float(value)))
            except ValueError:
                quality = 0.0
    return name.strip().lower(), quality


def _quality(name: str, ranges: list[tuple[str, float]]) -> float:
    by_range = dict(ranges)
    for candidate in (name, name.partition("/")[0] + "/*", "*/*"):
        if candidate in by_range:
            return by_range[candidate]
    return 0.0
