"""Messages from Locust's process to its parent, as lines of JSON.

load_agent sends them from inside Locust; locust_process reads them. The module imports
little, because Locust loads it.
"""

import msgspec

from headway.tools.options import LoadStep


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Measurements of a time span; latencies are None if there was no request."""

    seconds: float
    requests: int
    failures: int
    rps: float
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    load_cores: float
    """CPU cores used by the process that coordinates the load."""


class AgentPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the agent must do."""

    steps: tuple[LoadStep, ...]
    step_s: float
    """Duration of each step, its ramp included."""
    stays: bool
    """Whether Locust keeps running after the last step, for its web page."""


class StepBegan(msgspec.Struct, frozen=True, tag=True):
    """A step starts to spawn its users; times are monotonic."""

    step: int
    at: float


class AllSpawned(msgspec.Struct, frozen=True, tag=True):
    """All users of the step have been spawned."""

    step: int
    at: float


class SecondPassed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Figures of the last second."""

    step: int
    at: float
    users: int
    figures: Figures
    failures: int
    """Failures of the step so far."""


class StepEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A step has ended, after its duration or because it was stopped."""

    step: int
    at: float
    users: int
    whole: Figures
    steady: Figures | None
    """Figures since all users were spawned; None: they never were."""


class LoadEnded(msgspec.Struct, frozen=True, tag=True):
    """All steps have ended; the failures, with their number."""

    errors: tuple[str, ...]


AgentMessage = StepBegan | AllSpawned | SecondPassed | StepEnded | LoadEnded
