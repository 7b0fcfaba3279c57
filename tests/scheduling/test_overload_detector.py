"""OverloadDetector: a burst may queue for long, a backlog that stands may not."""

import pytest

from headway.scheduling.arrivals import OverloadDetector

BUDGET_S = 1.0


def meet(
    detector: OverloadDetector, answer_s: float, begin: float, end: float
) -> list[float]:
    """Let requests meet a backlog, every 100 ms; return the factor after each."""
    factors = []
    for step in range(round((end - begin) * 10) + 1):
        detector.observe(answer_s, BUDGET_S, begin + step / 10)
        factors.append(detector.factor)
    return factors


def test_a_burst_does_not_raise_the_overload_factor() -> None:
    detector = OverloadDetector()
    passing = detector.factor
    meet(detector, 0.1, 100, 101)
    assert set(meet(detector, 0.9, 101.1, 102.9)) == {passing}


def test_a_lasting_backlog_raises_the_overload_factor() -> None:
    detector = OverloadDetector()
    passing = detector.factor
    meet(detector, 0.1, 100, 101)
    factors = meet(detector, 0.9, 101.1, 104)
    assert factors == sorted(factors)
    assert factors[-1] > 1.4 * passing
    assert sum(factor == passing for factor in factors) == pytest.approx(20, abs=1)


def test_a_short_backlog_resets_the_overload_factor() -> None:
    detector = OverloadDetector()
    passing = detector.factor
    meet(detector, 0.9, 100, 104)
    assert detector.factor > passing
    assert meet(detector, 0.2, 104.1, 104.1) == [passing]
    assert set(meet(detector, 0.9, 104.2, 106)) == {passing}


def test_a_backlog_at_the_first_request_is_new() -> None:
    detector = OverloadDetector()
    passing = detector.factor
    assert set(meet(detector, 0.9, 1e9, 1e9 + 1.9)) == {passing}


def test_the_backlog_is_measured_against_time_budgets() -> None:
    detector = OverloadDetector()
    detector.observe(0.001, 0.01, 100.0)
    detector.observe(0.009, 0.01, 100.019)
    passing = detector.factor
    detector.observe(0.009, 0.01, 100.021)
    assert detector.factor > passing
    detector.observe(9.0, 10.0, 100.022)
    assert detector.factor == passing


def test_a_short_budget_does_not_raise_the_overload_factor() -> None:
    detector = OverloadDetector()
    passing = detector.factor
    meet(detector, 0.1, 100, 101)
    meet(detector, 0.9, 101.1, 102)
    detector.observe(0.9, 0.001, 102.0)
    assert detector.factor == passing
