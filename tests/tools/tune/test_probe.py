"""Whether a probe keeps the target, from the outcomes of its requests."""

import numpy as np
import pytest

from headway.tools.open_loop.traffic import LOST, NOT_SENT, UNANSWERED, Outcomes
from headway.tools.tune.probe import Target, judge

TARGET = Target(p99_ms=50.0, seconds=1.0, settle_s=0.5)
COUNT = 1500


def outcomes(changes: dict[int, tuple[float, int]]) -> Outcomes:
    """Return 1,000 requests/s answered in 10 ms, some of the last second changed.

    Args:
        changes: Number of requests by how long they took and their status.
    """
    scheduled = np.arange(COUNT) / 1000
    took_s = np.full(COUNT, 0.01)
    status = np.full(COUNT, 200, np.int16)
    place = 600
    for count, (seconds, code) in changes.items():
        took_s[place : place + count] = seconds
        status[place : place + count] = code
        place += count
    answered = np.where(status > 0, scheduled + took_s, np.nan)
    return Outcomes(
        began=0.0,
        deadline_s=0.05,
        scheduled=scheduled,
        sent=np.where(status == NOT_SENT, np.nan, scheduled),
        answered=answered,
        status=status,
    )


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, True),
        ({10: (0.2, 200)}, True),
        ({11: (0.2, 200)}, False),
        ({1: (0.01, 503)}, True),
        ({2: (0.01, 503)}, False),
        ({2: (0.01, LOST)}, False),
        ({11: (0.0, UNANSWERED)}, False),
        ({11: (0.0, NOT_SENT)}, False),
    ],
)
def test_target_allows_1_percent_late_and_1_per_mille_failed(
    changes: dict[int, tuple[float, int]], kept: bool
) -> None:
    found, figures = judge(outcomes(changes), seconds=1.0, target=TARGET)
    assert found is kept
    assert figures["ok_per_s"] == pytest.approx(1000, rel=0.03)


def test_figures_cover_the_measured_time() -> None:
    _, figures = judge(outcomes({20: (0.3, 200)}), seconds=1.0, target=TARGET)
    assert figures["p99_ms"] == pytest.approx(300)
    assert figures["in_time"] == pytest.approx(0.98)
    assert figures["failed"] == 0
    _, failed = judge(outcomes({20: (0.01, 500)}), seconds=1.0, target=TARGET)
    assert failed["p99_ms"] is None
    assert failed["failed"] == pytest.approx(0.02)


def test_target_is_missed_if_little_was_sent() -> None:
    kept, figures = judge(outcomes({900: (0, NOT_SENT)}), seconds=1.0, target=TARGET)
    assert not kept
    assert figures["in_time"] < 0.2
