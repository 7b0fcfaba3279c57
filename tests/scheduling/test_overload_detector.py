"""OverloadDetector: a burst may queue for long, a backlog that stands may not."""

import pytest

from headway.scheduling.arrivals import OverloadDetector

BUDGET_S = 1.0


def meet(
    patience: OverloadDetector, answer_s: float, begin: float, end: float
) -> list[float]:
    """Let requests meet a backlog, every 100 ms; return the factor after each."""
    factors = []
    for step in range(round((end - begin) * 10) + 1):
        patience.observe(answer_s, BUDGET_S, begin + step / 10)
        factors.append(patience.factor)
    return factors


def test_a_burst_keeps_the_long_queue() -> None:
    patience = OverloadDetector()
    passing = patience.factor
    meet(patience, 0.1, 100, 101)
    assert set(meet(patience, 0.9, 101.1, 102.9)) == {passing}


def test_a_backlog_that_stands_counts_for_more() -> None:
    patience = OverloadDetector()
    passing = patience.factor
    meet(patience, 0.1, 100, 101)
    factors = meet(patience, 0.9, 101.1, 104)
    assert factors == sorted(factors)
    assert factors[-1] > 1.4 * passing
    assert sum(factor == passing for factor in factors) == pytest.approx(20, abs=1)


def test_a_backlog_that_was_short_again_is_forgotten() -> None:
    patience = OverloadDetector()
    passing = patience.factor
    meet(patience, 0.9, 100, 104)
    assert patience.factor > passing
    assert meet(patience, 0.2, 104.1, 104.1) == [passing]
    assert set(meet(patience, 0.9, 104.2, 106)) == {passing}


def test_a_backlog_that_is_there_at_the_beginning_is_new() -> None:
    patience = OverloadDetector()
    passing = patience.factor
    assert set(meet(patience, 0.9, 1e9, 1e9 + 1.9)) == {passing}


def test_the_time_that_requests_have_is_what_it_is_held_against() -> None:
    patience = OverloadDetector()
    patience.observe(0.001, 0.01, 100.0)
    patience.observe(0.009, 0.01, 100.019)
    passing = patience.factor
    patience.observe(0.009, 0.01, 100.021)
    assert patience.factor > passing
    patience.observe(9.0, 10.0, 100.022)
    assert patience.factor == passing


def test_a_hasty_request_does_not_make_the_backlog_count_for_more() -> None:
    patience = OverloadDetector()
    passing = patience.factor
    meet(patience, 0.1, 100, 101)
    meet(patience, 0.9, 101.1, 102)
    patience.observe(0.9, 0.001, 102.0)
    assert patience.factor == passing
