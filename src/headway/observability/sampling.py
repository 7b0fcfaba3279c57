"""Which requests are traced: decided before anything is made for their traces.

api/request_spans asks it for each request.
"""

import random
from collections.abc import Callable, Mapping

from headway.errors import ConfigError
from headway.observability.trace_context import TraceParent

__all__ = ["Sampling", "sampling_of"]

_IDS = 2**64


class Sampling:
    """Follows the caller's decision if there is one and it may; else takes a share.

    Args:
        ratio: The share, from 0 to 1.
        follows_parent: Whether a caller that sends `traceparent` decides.
        chance: Draws a number from 0 to 1.
    """

    __slots__ = ("_bound", "_chance", "_follows_parent", "_ratio")

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
        # As all others decide who know the trace by its id.
        return parent.ids.trace_id % _IDS < self._bound


def sampling_of(ratio: float | None, environ: Mapping[str, str]) -> Sampling:
    """Return what the configuration says, else OpenTelemetry's variables; else all.

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
