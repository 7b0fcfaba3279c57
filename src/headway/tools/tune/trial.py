"""A trial of the tuner: one request rate sent to a server with one setting.

probe makes trials, job saves them in a file, and search decides by them.
"""

from collections.abc import Iterable, Sequence

import msgspec

Setting = tuple[int, ...]
"""A value for each choice of the grid, in order."""

_CLEAR = 0.9
"""Share in time below which a miss is not a short disturbance."""


FAILED = 0.001
"""Share of requests that may fail."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a setting kept the target at one rate."""

    setting: Setting
    per_s: float
    """Requests sent per second; 0 if the server did not start."""
    kept: bool
    p99_ms: float | None = None
    """From the scheduled send time; a lower bound if the trial ended early; None if 1
    in 100 requests failed."""
    ok_per_s: float = 0.0
    """Answers with 200 per second, in time or late."""
    in_time: float = 0.0
    """Share of requests answered 200 in time."""
    failed: float = 0.0
    """Share of requests with another answer or none."""
    lag_p99_ms: float = 0.0
    """Delay of the generator itself."""
    took_s: float = 0.0
    """Duration, including the server start if there was one."""
    confirms: bool = False
    """Whether it is a longer trial of the best setting, at the end."""
    problem: str = ""
    """Why nothing could be measured, for example a failed server start."""

    @property
    def is_clear(self) -> bool:
        """Whether a miss is due to the setting, not to a short disturbance."""
        return bool(self.problem) or self.in_time < _CLEAR

    @property
    def result(self) -> str:
        """The result in one word."""
        if self.problem:
            return "skipped"
        if not self.kept:
            return "missed"
        return "confirmed" if self.confirms else "kept"

    @property
    def why(self) -> str:
        """Why the target was missed."""
        if self.problem:
            return self.problem
        if self.failed > FAILED:
            return f"{self.failed:.1%} failed"
        return "" if self.p99_ms is None else f"p99 {self.p99_ms:,.0f} ms"


class Bracket(msgspec.Struct, frozen=True):
    """Bounds of a setting: the highest rate kept and the lowest rate missed."""

    kept: float = 0.0
    missed: float = float("inf")
    doubted: float | None = None
    """A rate in between, missed once and perhaps only by a disturbance."""
    problem: str = ""

    def is_closed(self, precision: float, lowest: float) -> bool:
        """Return whether no further trial is needed."""
        if self.problem or self.missed <= lowest:
            return True
        return self.doubted is None and self.missed <= precision * self.kept


def brackets(trials: Iterable[Trial]) -> dict[Setting, Bracket]:
    """Return the bounds of each setting tried."""
    by_setting: dict[Setting, list[Trial]] = {}
    for trial in trials:
        if not trial.confirms:
            by_setting.setdefault(trial.setting, []).append(trial)
    return {setting: _bracket(own) for setting, own in by_setting.items()}


def _bracket(trials: Sequence[Trial]) -> Bracket:
    problems = [trial.problem for trial in trials if trial.problem]
    kept = max((trial.per_s for trial in trials if trial.kept), default=0.0)
    # A miss below a rate that was kept was a disturbance.
    misses = [trial for trial in trials if not trial.kept and trial.per_s > kept]
    rates = [trial.per_s for trial in misses]
    sure = {
        trial.per_s
        for trial in misses
        if trial.is_clear or rates.count(trial.per_s) > 1
    }
    missed = min(sure, default=float("inf"))
    doubted = [rate for rate in rates if rate < missed]
    return Bracket(
        kept=kept,
        missed=missed,
        doubted=min(doubted, default=None),
        problem=problems[-1] if problems else "",
    )
