"""ReplicaStagger waits for a share of the rows, as long as any come."""

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.scheduling.arrivals import ReplicaStagger
from headway.scheduling.cost_model import CostModel

NOW = 100.0


@functools.cache  # it is only read
def cost() -> CostModel:
    """Return that of a model which takes 1 ms and 0.1 ms a row."""
    made = CostModel()
    for _ in range(20):
        for rows in (1, 2, 5, 10, 20, 50, 100):
            made.observe(rows, 0.001 + 0.0001 * rows, NOW)
    return made


def ask(
    stagger: ReplicaStagger,
    waiting: int,
    *,
    rows_per_s: float = 9000.0,
    oldest_at: float = NOW,
    now: float = NOW,
    replicas: int = 2,
) -> float | None:
    return stagger.wait_until(
        waiting=waiting,
        cap=100,
        oldest_at=oldest_at,
        rows_per_s=rows_per_s,
        replicas=replicas,
        cost=cost(),
        now=now,
    )


def test_stagger_waits_for_the_share_of_one_replica() -> None:
    # Each of two serves 4,500 rows a second, which batches of 10 do, and of 5 not.
    assert ask(ReplicaStagger(), 3) == pytest.approx(NOW + 10 / 9000)
    assert ask(ReplicaStagger(), 10) is None
    # Each of four serves 2,250, which batches of 5 do.
    assert ask(ReplicaStagger(), 3, replicas=4) == pytest.approx(NOW + 5 / 9000)


def test_stagger_does_not_wait_at_low_load() -> None:
    assert ask(ReplicaStagger(), 1, rows_per_s=1000.0) is None
    assert ask(ReplicaStagger(), 1, rows_per_s=0.0) is None


def test_stagger_bounds_the_wait_of_the_oldest() -> None:
    stagger = ReplicaStagger()
    until = ask(stagger, 3)
    assert until is not None
    assert ask(stagger, 4, now=NOW + 0.0005) == until
    assert ask(stagger, 4, now=until) is None


def test_stagger_stops_waiting_if_no_rows_come_and_retries_at_times() -> None:
    stagger = ReplicaStagger()

    def waits(times: int, joined: int) -> int:
        """Return how often it waited, for as many to join."""
        count = 0
        for _ in range(times):
            until = ask(stagger, 3)
            if until is not None:
                count += 1
                assert ask(stagger, 3 + joined, now=until) is None
        return count

    assert waits(20, joined=1) == 20
    assert waits(20, joined=0) < 10
    assert waits(320, joined=0) == pytest.approx(10, abs=1)
    assert waits(1000, joined=1) > 500, "they come again"


@given(
    st.integers(1, 120),
    st.floats(0, 1e6),
    st.floats(0, 1),
    st.integers(2, 16),
)
def test_stagger_waits_into_the_future_for_more_rows(
    waiting: int, rows_per_s: float, age_s: float, replicas: int
) -> None:
    until = ask(
        ReplicaStagger(),
        waiting,
        rows_per_s=rows_per_s,
        oldest_at=NOW - age_s,
        replicas=replicas,
    )
    if until is not None:
        assert NOW < until <= NOW - age_s + 100 / rows_per_s
        assert waiting < 100
