"""The spacing of batches over replicas: it waits for a share, as long as any come."""

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
    spacing: ReplicaStagger,
    waiting: int,
    *,
    rows_per_s: float = 9000.0,
    oldest_at: float = NOW,
    now: float = NOW,
    replicas: int = 2,
) -> float | None:
    return spacing.wait_until(
        waiting=waiting,
        cap=100,
        oldest_at=oldest_at,
        rows_per_s=rows_per_s,
        replicas=replicas,
        cost=cost(),
        now=now,
    )


def test_a_share_is_what_one_replica_has_to_serve() -> None:
    # Each of two serves 4,500 rows a second, which batches of 10 do, and of 5 not.
    assert ask(ReplicaStagger(), 3) == pytest.approx(NOW + 10 / 9000)
    assert ask(ReplicaStagger(), 10) is None
    # Each of four serves 2,250, which batches of 5 do.
    assert ask(ReplicaStagger(), 3, replicas=4) == pytest.approx(NOW + 5 / 9000)


def test_little_that_arrives_is_not_waited_for() -> None:
    assert ask(ReplicaStagger(), 1, rows_per_s=1000.0) is None
    assert ask(ReplicaStagger(), 1, rows_per_s=0.0) is None


def test_the_oldest_waits_no_longer_than_a_share_takes_to_come() -> None:
    spacing = ReplicaStagger()
    until = ask(spacing, 3)
    assert until is not None
    assert ask(spacing, 4, now=NOW + 0.0005) == until
    assert ask(spacing, 4, now=until) is None


def test_waits_in_which_nobody_comes_are_given_up_and_tried_at_times() -> None:
    spacing = ReplicaStagger()

    def waits(times: int, joined: int) -> int:
        """Return how often it waited, for as many to join."""
        count = 0
        for _ in range(times):
            until = ask(spacing, 3)
            if until is not None:
                count += 1
                assert ask(spacing, 3 + joined, now=until) is None
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
def test_a_wait_is_ahead_and_for_more(
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
