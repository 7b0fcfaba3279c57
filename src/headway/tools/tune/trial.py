"""What the tuner measured: one rate sent to a server of one setting.

probe makes them, state keeps them in a file, search decides by them.
"""

from collections.abc import Iterable, Sequence

import msgspec

__all__ = ["FAILED", "Bracket", "Setting", "Trial", "brackets"]

Setting = tuple[int, ...]
"""A value for each choice of the grid, in its order."""

_CLEAR = 0.9
"""Share in time below which a miss cannot be an accident of the moment."""


FAILED = 0.001
"""Share that may fail."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a setting kept the target at a rate."""

    setting: Setting
    per_s: float
    """Requests sent; 0 if there was nothing to send them to."""
    kept: bool
    p99_ms: float | None = None
    """From the scheduled send time, a lower bound if the trial was ended early; None if
    one in a hundred failed."""
    ok_per_s: float = 0.0
    """Answered 200 per second, in time or not."""
    in_time: float = 0.0
    """Share of the requests that was answered 200 in time."""
    failed: float = 0.0
    """Share of the requests that had another answer, or none."""
    lag_p99_ms: float = 0.0
    """How late the generator itself was."""
    took_s: float = 0.0
    """All of it, with the start of its server if it needed one."""
    confirms: bool = False
    """A longer one at the end, for the winner."""
    problem: str = ""
    """Why nothing could be measured: the server did not start, say."""

    @property
    def is_clear(self) -> bool:
        """Whether a miss is one of the setting, and no accident of the moment."""
        return bool(self.problem) or self.in_time < _CLEAR

    @property
    def verdict(self) -> str:
        """Return in a word how it ended."""
        if self.problem:
            return "skipped"
        if not self.kept:
            return "missed"
        return "confirmed" if self.confirms else "kept"

    @property
    def why(self) -> str:
        """Return in words why it was missed."""
        if self.problem:
            return self.problem
        if self.failed > FAILED:
            return f"{self.failed:.1%} failed"
        return "" if self.p99_ms is None else f"p99 {self.p99_ms:,.0f} ms"


class Bracket(msgspec.Struct, frozen=True):
    """What is known of a setting: it keeps one rate and misses another."""

    kept: float = 0.0
    missed: float = float("inf")
    doubted: float | None = None
    """A rate in between that was missed once, maybe by accident."""
    problem: str = ""

    def is_closed(self, precision: float, lowest: float) -> bool:
        """Return whether no further trial is needed."""
        if self.problem or self.missed <= lowest:
            return True
        return self.doubted is None and self.missed <= precision * self.kept


def brackets(trials: Iterable[Trial]) -> dict[Setting, Bracket]:
    """Return what is known of each setting that was tried."""
    by_setting: dict[Setting, list[Trial]] = {}
    for trial in trials:
        if not trial.confirms:
            by_setting.setdefault(trial.setting, []).append(trial)
    return {setting: _bracket(own) for setting, own in by_setting.items()}


def _bracket(trials: Sequence[Trial]) -> Bracket:
    problems = [trial.problem for trial in trials if trial.problem]
    kept = max((trial.per_s for trial in trials if trial.kept), default=0.0)
    # A miss below a rate that was kept was an accident.
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
