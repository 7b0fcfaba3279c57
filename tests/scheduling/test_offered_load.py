"""OfferedLoad: the work that arrives per second."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.scheduling.arrivals import OfferedLoad


def steady(load: float, seconds: float) -> OfferedLoad:
    """Return the load after arrivals every 10 ms since 100 s."""
    offered = OfferedLoad()
    for step in range(round(seconds * 100)):
        offered.add(0.01 * load, 100 + 0.01 * step)
    return offered


@pytest.mark.parametrize("load", [0.1, 0.5, 3.0])
def test_offered_load_is_the_work_that_arrives_in_a_second(load: float) -> None:
    assert steady(load, 5.0).load(105.0) == pytest.approx(load, rel=0.02)


def test_offered_load_is_zero_at_first_and_long_after() -> None:
    assert OfferedLoad().load(100.0) == 0.0
    assert steady(1.0, 5.0).load(110.0) < 0.001


def test_offered_load_of_one_large_batch_fades() -> None:
    offered = OfferedLoad()
    offered.add(0.1, 100.0)
    assert offered.load(100.0) == pytest.approx(0.2)
    assert offered.load(100.5) == pytest.approx(0.074, rel=0.01)


@given(
    st.lists(st.tuples(st.floats(0, 10), st.floats(0, 5)), max_size=20),
    st.lists(st.floats(0, 100), min_size=2, max_size=5),
)
def test_offered_load_falls_without_arrivals(
    arrivals: list[tuple[float, float]], later: list[float]
) -> None:
    offered = OfferedLoad()
    now = 100.0
    for work_s, pause_s in arrivals:
        now += pause_s
        offered.add(work_s, now)
    loads = [offered.load(now + delay) for delay in sorted(later)]
    assert all(low >= high >= 0 for low, high in itertools.pairwise(loads))
    # A time that was before the last one, as clocks read out of turn are, is now.
    assert offered.load(now - 1) == loads[-1]
