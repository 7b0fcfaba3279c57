"""W3C trace context: the caller's span, the sampling of requests, spans in frames.

observability/request_trace reads `traceparent` and samples. api/pending_calls packs the
spans of calls into CALLS frames, and runner/dispatcher unpacks them.
"""

import random
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from headway.errors import ConfigError

_HEADER = re.compile(
    rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_SAMPLED = 1
# index of the call among its group's, trace id, span id
_CALL = struct.Struct(">I4x16s8s")
TRACE_BYTES: Final = _CALL.size
_IDS = 2**64


class SpanIds(NamedTuple):
    """Names one span among all."""

    trace_id: int
    span_id: int


class TraceParent(NamedTuple):
    """The caller's span, and whether the caller records it."""

    ids: SpanIds
    is_sampled: bool


def parse_traceparent(value: bytes) -> TraceParent | None:
    """Return what a `traceparent` header says; None if it is malformed."""
    match = _HEADER.fullmatch(value)
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == b"ff" or (version == b"00" and rest is not None):
        return None
    ids = SpanIds(int(trace_id, 16), int(span_id, 16))
    if not (ids.trace_id and ids.span_id):
        return None
    return TraceParent(ids, bool(int(flags, 16) & _SAMPLED))


def pack_call(index: int, ids: SpanIds) -> bytes:
    """Return the span of a call, as in a CALLS frame."""
    trace_id, span_id = ids
    return _CALL.pack(index, trace_id.to_bytes(16, "big"), span_id.to_bytes(8, "big"))


def unpack_calls(block: bytes) -> Iterator[tuple[int, SpanIds]]:
    """Yield the index and span of each call that has one."""
    for index, trace_id, span_id in _CALL.iter_unpack(block):
        yield index, SpanIds(int.from_bytes(trace_id), int.from_bytes(span_id))


class Sampling:
    """Follows the caller's decision, if there is one and it may; else takes a share.

    Args:
        ratio: The share, from 0 to 1.
        follows_parent: Whether a caller that sends `traceparent` decides.
        chance: Draws a number from 0 to 1.
    """

    def __init__(
        self,
        *,
        ratio: float,
        follows_parent: bool = True,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._ratio = ratio
        self._follows_parent = follows_parent
        self._chance = chance
        self._bound = round(ratio * _IDS)

    def takes(self, parent: TraceParent | None) -> bool:
        """Return whether to trace a request."""
        if parent is None:
            return self._chance() < self._ratio
        if self._follows_parent:
            return parent.is_sampled
        # By the id of the trace, so that every service decides alike.
        return parent.ids.trace_id % _IDS < self._bound


def sampling_of(ratio: float | None, environ: Mapping[str, str]) -> Sampling:
    """Return the sampling of the configuration, else of OpenTelemetry's variables.

    Raises:
        ConfigError: If a variable is wrong.
    """
    if ratio is not None:
        return Sampling(ratio=ratio)
    name = (
        environ.get("OTEL_TRACES_SAMPLER", "").strip().lower()
        or "parentbased_always_on"
    )
    own = name.removeprefix("parentbased_")
    if own == "traceidratio":
        share = _ratio(environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip() or "1")
    elif own in ("always_on", "always_off"):
        share = float(own == "always_on")
    else:
        raise ConfigError(
            f"$OTEL_TRACES_SAMPLER is {name!r}: give always_on, always_off or "
            "traceidratio, or one of these after parentbased_"
        )
    return Sampling(ratio=share, follows_parent=own != name)


def _ratio(text: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise ConfigError(
            f"$OTEL_TRACES_SAMPLER_ARG is {text!r}: give a share from 0 to 1"
        )
    return ratio
