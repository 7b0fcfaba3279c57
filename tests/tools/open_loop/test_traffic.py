import math

import numpy as np
import pytest
from benchmarks.drift import lateness
from benchmarks.overload import recovered_after_s
from hypothesis import given
from hypothesis import strategies as st

from headway.tools.open_loop.traffic import (
    LOST,
    NOT_SENT,
    UNANSWERED,
    Outcomes,
    Phase,
    Traffic,
)

STATUSES = [200, 204, 400, 429, 500, 503, 504, LOST, NOT_SENT, UNANSWERED]


def outcomes(
    scheduled: list[float], answered: list[float], status: list[int]
) -> Outcomes:
    return Outcomes(
        began=0.0,
        deadline_s=1.0,
        scheduled=np.array(scheduled),
        sent=np.array(scheduled),
        answered=np.array(answered),
        status=np.array(status, np.int16),
    )


@given(st.lists(st.tuples(st.sampled_from(STATUSES), st.floats(0, 3))))
def test_counts_add_up(requests: list[tuple[int, float]]) -> None:
    summary = outcomes(
        [0.0] * len(requests),
        [took if status > 0 else math.nan for status, took in requests],
        [status for status, _ in requests],
    ).summary(1.0)
    answered = summary.in_time + summary.late + summary.refused + summary.failed
    silent = summary.lost + summary.unanswered + summary.not_sent
    assert answered + silent == summary.offered == len(requests)
    assert summary.in_time == sum(s == 200 and took <= 1 for s, took in requests)
    assert summary.failed == sum(s in (204, 400, 500) for s, _ in requests)


def test_latencies_of_answers_and_refusals_are_separate() -> None:
    summary = outcomes([1, 1, 1, 1], [1.5, 1.1, 1.2, 3], [200, 503, 429, 504]).summary(
        1
    )
    assert (summary.ok_p50_ms, summary.ok_max_ms) == (500, 500)
    assert summary.refused_p50_ms == pytest.approx(150)
    assert summary.refused_max_ms == pytest.approx(200)
    assert summary.statuses == "200: 1, 429: 1, 503: 1, 504: 1"


def test_lateness_counts_answers_since_the_step() -> None:
    some = outcomes(
        [0, 4.5, 5, 5.2, 6], [2, 6, 6.5, 6.2, 6.1], [200, 504, 200, 503, 200]
    )
    assert lateness(some, step_s=5.0).tolist() == [1.0, 1.5]


@pytest.mark.parametrize(
    ("medians_ms", "recovered_s"),
    [
        ([10] * 5, 0.0),
        ([90, 40, 15] + [10] * 5, 0.2),
        ([90, 10, 90] + [15] * 5, 0.3),
        ([math.inf] * 3 + [10] * 4, math.inf),
    ],
)
def test_recovery_is_when_latency_stays_normal(
    medians_ms: list[float], recovered_s: float
) -> None:
    assert recovered_after_s(medians_ms, normal_ms=10) == pytest.approx(recovered_s)


@given(
    st.lists(
        st.builds(Phase, st.floats(0, 2000), st.floats(0.01, 1)), min_size=1, max_size=4
    ),
    st.integers(0, 2**32),
)
def test_schedule_ascends_within_its_phases(phases: list[Phase], seed: int) -> None:
    traffic = Traffic(
        url="http://127.0.0.1:1/", phases=tuple(phases), body=b"[]", seed=seed
    )
    times = traffic.schedule()
    assert times == sorted(times)
    assert times == traffic.schedule()
    assert all(0 <= time <= traffic.seconds for time in times)
    began = 0.0
    for phase in phases:
        end = began + phase.seconds
        expected = phase.per_s * phase.seconds
        count = sum(began <= time < end for time in times)
        assert abs(count - expected) <= 8 * math.sqrt(expected) + 8
        began = end
