"""What the process that runs Locust tells the one that started it: lines of JSON.

load_agent sends them from inside Locust; locust_process reads them.
"""

import msgspec

from headway.tools.load.ladder import Rung

__all__ = ["Began", "Ended", "Figures", "Message", "Orders", "Over", "Spawned", "Tick"]


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured in a span of time; latencies of nothing are None."""

    seconds: float
    requests: int
    failures: int
    rps: float
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    load_cores: float
    """Cores that the process which coordinates the load was busy with."""


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What the agent is to do."""

    rungs: tuple[Rung, ...]
    rung_s: float
    """Of each rung, its ramp included."""
    stays: bool
    """Whether Locust goes on after the last rung, for its web page."""


class Began(msgspec.Struct, frozen=True, tag=True):
    """A rung's first user is about to come; times are the machine's monotonic ones."""

    rung: int
    at: float


class Spawned(msgspec.Struct, frozen=True, tag=True):
    """All users of the rung are there."""

    rung: int
    at: float


class Tick(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The second that has passed."""

    rung: int
    at: float
    users: int
    figures: Figures
    failures: int
    """Of the whole rung so far."""


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A rung is over, by its time or because it was stopped."""

    rung: int
    at: float
    users: int
    whole: Figures
    steady: Figures | None
    """Once all users were there; None: they never were."""


class Over(msgspec.Struct, frozen=True, tag=True):
    """All rungs are, with what went wrong and how often."""

    errors: tuple[str, ...]


Message = Began | Spawned | Tick | Ended | Over
