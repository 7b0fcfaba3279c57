"""What is learned of failures: their cost, and how many calls fail by themselves."""

import pytest

from headway.scheduling.failure_stats import FailureStats


def odds(failure_cost: float) -> FailureStats:
    learned = FailureStats()
    learned.timed(1.0, succeeded=True)
    learned.timed(failure_cost, succeeded=False)
    return learned


def test_at_first_a_failure_is_as_dear_as_a_success() -> None:
    fresh = FailureStats()
    assert (fresh.failure_cost, fresh.failing_share) == (1.0, 0.5)
    fresh.timed(0.001, succeeded=False)  # over what?
    assert (fresh.failure_cost, fresh.failing_share) == (1.0, 0.5)
    assert fresh.most() > 10**6


@pytest.mark.parametrize(
    ("ratio", "cost"), [(5.0, 1.0), (1.0, 1.0), (0.3, 0.3), (0.1, 0.1), (1e-4, 0.02)]
)
def test_the_share_uses_the_time_best(ratio: float, cost: float) -> None:
    learned = odds(ratio)
    assert learned.failure_cost == pytest.approx(cost)
    success = 1 - learned.failing_share
    assert success + success**cost == pytest.approx(1, abs=1e-5)


def test_costs_are_moving_means() -> None:
    learned = odds(1.0)
    for _ in range(40):
        learned.timed(1.0, succeeded=True)
        learned.timed(0.1, succeeded=False)
    assert learned.failure_cost == pytest.approx(0.1, rel=0.01)


def test_the_more_are_bad_the_fewer_are_tried_together() -> None:
    for rate, most in ((0.01, 69), (0.05, 14), (0.3, 2), (0.4, 1), (1.0, 1)):
        learned = FailureStats()
        for _ in range(20):
            learned.settled(1000, bad=round(1000 * rate))
        assert learned.most() == pytest.approx(most, rel=0.05)


def test_cheap_failures_are_dared_more_often() -> None:
    dear, cheap = odds(1.0), odds(0.02)
    for learned in (dear, cheap):
        learned.settled(1000, bad=50)
    assert cheap.most() > 3 * dear.most()


def test_all_can_be_bad() -> None:
    learned = FailureStats()
    learned.settled(10**20, bad=10**20)
    assert learned.most() == 1


def test_bad_ones_are_forgotten() -> None:
    learned = FailureStats()
    learned.settled(64, bad=64)
    assert learned.bad
    for _ in range(20):
        learned.settled(64, bad=0)
    assert not learned.bad
