"""The policies by name: Headway and its rivals, made for a case."""

from collections.abc import Callable, Mapping
from typing import Final

from benchmarks.simulation.aimd import Aimd
from benchmarks.simulation.case import Case
from benchmarks.simulation.cork import Cork
from benchmarks.simulation.fixed_window import FixedWindow
from benchmarks.simulation.policy import Policy
from benchmarks.simulation.production import Production

__all__ = ["CONTENDERS", "CORK", "HEADWAY", "NEVER_WAIT", "OPTIMUM", "WINDOWS"]

HEADWAY: Final = "headway"
NEVER_WAIT: Final = "never-wait"
OPTIMUM: Final = "optimum"
"""No rival, but what is possible with Poisson arrivals."""
CORK: Final = "cork"
WINDOWS: Final = ("window-1ms", "window-5ms", "window-10ms")
"""What Triton's users choose, and mosec's default."""
_CORK_LATENCY_S: Final = 1.0
"""CORK's bound where a case has no deadline; it stalls its training for as long."""


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


def _cork(case: Case) -> Policy:
    return Cork(
        max_rows=case.max_rows,
        replicas=case.replicas,
        max_latency_s=min(case.deadline_s, _CORK_LATENCY_S),
    )


def _aimd(case: Case) -> Policy:
    return Aimd(
        max_rows=case.max_rows, replicas=case.replicas, objective_s=case.deadline_s
    )


CONTENDERS: Final[Mapping[str, Callable[[Case], Policy]]] = {
    HEADWAY: _headway,
    NEVER_WAIT: _fixed_window(0.0),
    WINDOWS[0]: _fixed_window(1e-3),
    WINDOWS[1]: _fixed_window(5e-3),
    WINDOWS[2]: _fixed_window(10e-3),
    CORK: _cork,
    "aimd": _aimd,
}
