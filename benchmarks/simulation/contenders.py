"""The policies by name: Headway and its rivals, made for a case."""

from collections.abc import Callable, Mapping
from typing import Final

from benchmarks.simulation.case import Case
from benchmarks.simulation.fixed_window import FixedWindow
from benchmarks.simulation.policy import Policy
from benchmarks.simulation.production import Production

__all__ = ["CONTENDERS", "HEADWAY", "NEVER_WAIT", "WINDOWS"]

HEADWAY: Final = "headway"
NEVER_WAIT: Final = "never-wait"
WINDOWS: Final = ("window-1ms", "window-5ms", "window-10ms")
"""What Triton's users choose, and mosec's default."""


def _headway(case: Case) -> Policy:
    return Production(
        max_rows=case.max_rows,
        replicas=case.replicas,
        seconds_of=case.service.mean_s,
    )


def _fixed_window(window_s: float) -> Callable[[Case], Policy]:
    def make(case: Case) -> Policy:
        return FixedWindow(
            max_rows=case.max_rows, replicas=case.replicas, window_s=window_s
        )

    return make


CONTENDERS: Final[Mapping[str, Callable[[Case], Policy]]] = {
    HEADWAY: _headway,
    NEVER_WAIT: _fixed_window(0.0),
    "window-1ms": _fixed_window(1e-3),
    "window-5ms": _fixed_window(5e-3),
    "window-10ms": _fixed_window(10e-3),
}
