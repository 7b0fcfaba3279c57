"""Every call gets its due, whoever is bad, and at a bounded cost."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.scheduling.failure_search import Search
from headway.scheduling.failure_stats import FailureStats
from tests.scheduling.test_odds import odds

costs = st.floats(0.001, 3)


def search(
    calls: int, learned: FailureStats, fails: Callable[[list[int]], bool]
) -> tuple[list[int], float]:
    """Return the calls that failed alone, and what it cost to find them."""
    one = Search(range(calls), learned)
    answered: list[int] = []
    failed: list[int] = []
    cost = 0.0
    while test := one.next():
        if not fails(test):
            one.succeeded()
            answered += test
            cost += 1
            continue
        one.failed()
        cost += learned.failure_cost
        if len(test) == 1:
            failed += test
    assert sorted(answered + failed) == list(range(calls)), "one outcome for each"
    return failed, cost


def meets(bad: set[int]) -> Callable[[list[int]], bool]:
    return lambda test: not bad.isdisjoint(test)


@given(
    st.lists(st.lists(st.booleans(), min_size=1, max_size=80), min_size=1, max_size=6),
    costs,
)
def test_the_bad_ones_and_only_they_fail(
    batches: list[list[bool]], failure_cost: float
) -> None:
    learned = odds(failure_cost)
    for is_bad in batches:
        bad = {call for call, bad in enumerate(is_bad) if bad}
        failed, cost = search(len(is_bad), learned, meets(bad))
        assert failed == sorted(bad)
        assert cost <= 2 * len(is_bad)


@given(st.integers(1, 200), st.integers(1, 20), costs)
def test_a_model_that_fails_on_many_answers_all(
    calls: int, most: int, failure_cost: float
) -> None:
    failed, cost = search(calls, odds(failure_cost), lambda test: len(test) > most)
    assert not failed
    assert cost <= 2 * calls


@given(st.integers(1, 100), costs, st.randoms(use_true_random=False))
def test_a_model_that_fails_at_random_ends(
    calls: int, failure_cost: float, chance: random.Random
) -> None:
    _, cost = search(calls, odds(failure_cost), lambda test: chance.random() < 0.5)
    assert cost <= 2 * calls


@given(st.integers(2, 50), st.data())
def test_those_set_apart_are_nobodys_concern(calls: int, data: st.DataObject) -> None:
    apart = data.draw(st.sets(st.integers(0, calls - 1), min_size=1))
    one = Search(range(calls), FailureStats())
    one.next()
    one.failed(apart)
    assert one.next() == [call for call in range(calls) if call not in apart]


@pytest.mark.parametrize(
    ("failure_cost", "means"),
    [
        (0.02, (2.3, 2.6, 2.8)),
        (0.1, (3.1, 3.5, 3.7)),
        (0.3, (4.1, 4.7, 5.1)),
        (1.0, (6.5, 7.5, 8.4)),
    ],
)
def test_the_mean_cost_of_one_bad_call(
    failure_cost: float, means: tuple[float, ...]
) -> None:
    for calls, mean in zip((32, 64, 100), means, strict=True):
        total = 0.0
        for bad in range(calls):
            _, cost = search(calls, odds(failure_cost), meets({bad}))
            total += cost - failure_cost  # the failure of the whole batch
        assert total / calls == pytest.approx(mean, abs=0.06)


@pytest.mark.parametrize("failure_cost", [0.02, 0.3, 1.0])
@pytest.mark.parametrize("rate", [0.01, 0.05, 0.3, 0.5, 0.9, 1.0])
def test_in_the_long_run_it_costs_no_more_than_single_calls(
    failure_cost: float, rate: float
) -> None:
    chance, learned = random.Random(3), odds(failure_cost)
    total = singles = 0.0
    for batch in range(200):
        bad = {call for call in range(64) if chance.random() < rate}
        _, cost = search(64, learned, meets(bad))
        if batch >= 10:
            total += cost
            singles += 64 - len(bad) + len(bad) * failure_cost
    assert total < 1.1 * singles
    if rate == 0.01:
        assert total < 190 * 7


def test_after_a_bad_time_batches_are_whole_again() -> None:
    learned = FailureStats()
    for _ in range(10):
        search(64, learned, lambda test: True)
    _, cost = search(64, learned, lambda test: False)
    assert cost == 64, "one by one, as all have failed"
    total = sum(search(64, learned, lambda test: False)[1] for _ in range(20))
    assert total < 300
    assert search(64, learned, lambda test: False)[1] == 1
