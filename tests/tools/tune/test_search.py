"""The search against simulated servers of known capacity."""

import math
from collections.abc import Callable
from itertools import product
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from headway.tools.tune.search import NextTrial, RateSearch, best
from headway.tools.tune.trial import Setting, Trial

TRIAL_S = 5.0
CONFIRM_S = 8.0
VALUES = ((2, 1), (100, 25, 400, 1600), (1, 2), (1, 2))
FIRST = (2, 100, 1, 1)
SETTINGS = list(product(*VALUES))

factors = st.floats(0.4, 2.5)


def search(values: tuple[tuple[int, ...], ...] = VALUES) -> RateSearch:
    return RateSearch(values=values, trial_s=TRIAL_S, confirm_s=CONFIRM_S)


def serve(capacity: float) -> Callable[[NextTrial], Trial]:
    """Return a server that keeps any rate up to its capacity."""

    def run(step: NextTrial) -> Trial:
        kept = step.per_s <= capacity
        return Trial(
            setting=step.setting,
            per_s=step.per_s,
            kept=kept,
            p99_ms=10.0 if kept else None,
            ok_per_s=min(step.per_s, capacity),
            in_time=1.0 if kept else 0.0,
            confirms=step.confirms,
        )

    return run


def run(
    measure: Callable[[NextTrial], Trial],
    *,
    budget_s: float = 1e6,
    begun: tuple[Trial, ...] = (),
    rules: RateSearch | None = None,
) -> tuple[list[Trial], float]:
    """Return all trials of a search, those begun with included, and the time left."""
    rules = rules or search()
    trials = list(begun)
    left_s = budget_s
    while step := rules.next_trial(trials, left_s):
        left_s -= CONFIRM_S if step.confirms else TRIAL_S
        trials.append(measure(step))
        assert len(trials) < 500
    return trials, left_s


def by_setting(capacities: dict[Setting, float]) -> Callable[[NextTrial], Trial]:
    return lambda step: serve(capacities[step.setting])(step)


@st.composite
def separable(draw: st.DrawFn) -> dict[Setting, float]:
    """Capacities of which each choice contributes a factor of its own."""
    base = draw(st.floats(200, 20_000))
    own = [{value: draw(factors) for value in values} for values in VALUES]
    return {
        setting: base * math.prod(own[i][value] for i, value in enumerate(setting))
        for setting in SETTINGS
    }


@given(separable())
def test_best_setting_is_found_if_choices_are_independent(
    capacities: dict[Setting, float],
) -> None:
    trials, _ = run(by_setting(capacities))
    found = best(trials)
    assert found is not None
    assert found.confirms
    assert max(capacities.values()) / 1.08**2 <= found.per_s
    assert found.per_s <= capacities[found.setting]


@given(st.lists(st.floats(6, 50_000), min_size=32, max_size=32))
def test_no_neighbour_of_the_best_setting_is_better(capacity: list[float]) -> None:
    capacities: dict[Setting, float] = dict(zip(SETTINGS, capacity, strict=True))
    trials, _ = run(by_setting(capacities))
    found = best(trials)
    assert found is not None
    for setting, other in capacities.items():
        if sum(a != b for a, b in zip(setting, found.setting, strict=True)) <= 2:
            assert found.per_s >= other / 1.08**2


@settings(max_examples=30)
@given(separable())
def test_most_settings_take_one_trial(capacities: dict[Setting, float]) -> None:
    trials, _ = run(by_setting(capacities))
    tried = {trial.setting for trial in trials}
    exhaustive, _ = run(
        serve(max(capacities.values())), rules=search(tuple((v,) for v in FIRST))
    )
    # An exhaustive search would bracket each of them.
    assert len(trials) < len(tried) * len(exhaustive)


@settings(max_examples=30)
@given(separable(), st.integers())
def test_disturbed_trials_cost_little(
    capacities: dict[Setting, float], seed: int
) -> None:
    """One trial in twenty is disturbed: all is answered, but not in time."""
    luck = Random(seed)

    def measure(step: NextTrial) -> Trial:
        made = serve(capacities[step.setting] * luck.uniform(0.97, 1.03))(step)
        if made.kept and luck.random() < 0.05:
            return Trial(
                setting=step.setting,
                per_s=step.per_s,
                kept=False,
                p99_ms=200.0,
                ok_per_s=step.per_s,
                in_time=0.95,
                confirms=step.confirms,
            )
        return made

    found = best(run(measure)[0])
    assert found is not None
    assert found.per_s <= 1.03 * capacities[found.setting]
    assert found.per_s >= 0.6 * max(capacities.values())


@given(separable(), st.floats(0, 300))
def test_search_ends_in_time_with_a_confirmed_result(
    capacities: dict[Setting, float], budget_s: float
) -> None:
    trials, left_s = run(by_setting(capacities), budget_s=budget_s)
    assert left_s >= 0 or not trials
    if budget_s >= 100:
        found = best(trials)
        assert found is not None
        assert found.confirms


@settings(max_examples=30)
@given(separable(), st.floats(0, 100))
def test_resumed_search_finds_the_same(
    capacities: dict[Setting, float], budget_s: float
) -> None:
    whole, _ = run(by_setting(capacities))
    begun, _ = run(by_setting(capacities), budget_s=budget_s)
    trials, _ = run(by_setting(capacities), begun=tuple(begun))
    found, expected = best(trials), best(whole)
    assert found is not None
    assert expected is not None
    assert (found.setting, found.per_s) == (expected.setting, expected.per_s)


def test_settings_that_do_not_start_are_skipped() -> None:
    def measure(step: NextTrial) -> Trial:
        if step.setting[0] == 2:
            return Trial(setting=step.setting, per_s=0.0, kept=False, problem="no")
        return serve(1000.0 + step.setting[1])(step)

    trials, _ = run(measure)
    found = best(trials)
    assert found is not None
    assert found.setting[:2] == (1, 1600)
    failed = [trial.setting for trial in trials if trial.problem]
    assert len(failed) == len(set(failed))


def test_search_ends_if_no_setting_starts() -> None:
    trials, _ = run(
        lambda step: Trial(setting=step.setting, per_s=0.0, kept=False, problem="no")
    )
    assert best(trials) is None
    assert len(trials) == len({trial.setting for trial in trials})


def test_impossible_target_is_tried_down_to_the_lowest_rate() -> None:
    trials, _ = run(serve(0.0))
    assert best(trials) is None
    assert {trial.per_s for trial in trials if trial.setting == FIRST} >= {100.0, 5.0}
    others = [trial.per_s for trial in trials if trial.setting != FIRST]
    assert set(others) == {5.0}


def test_doubtful_miss_is_repeated_first() -> None:
    rules = search()
    missed = Trial(
        setting=FIRST, per_s=100.0, kept=False, p99_ms=60, ok_per_s=99, in_time=0.95
    )
    assert rules.next_trial([missed], 1e6) == NextTrial(FIRST, 100.0)
    step = rules.next_trial([missed, missed], 1e6)
    assert step == NextTrial(FIRST, 25.0)


def test_failed_confirmation_is_repeated_at_lower_rates() -> None:
    def measure(step: NextTrial) -> Trial:
        return serve(850.0 if step.confirms else 1000.0)(step)

    found = best(run(measure)[0])
    assert found is not None
    assert found.confirms
    assert found.per_s <= 850.0


def test_unconfirmed_best_setting_is_returned() -> None:
    def measure(step: NextTrial) -> Trial:
        return serve(1.0 if step.confirms else 1000.0)(step)

    trials, _ = run(measure)
    assert len([trial for trial in trials if trial.confirms]) == search().confirmations
    found = best(trials)
    assert found is not None
    assert not found.confirms
