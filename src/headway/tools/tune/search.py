"""Decides the tuner's next trial: a pure function of the trials so far.

tuner calls it after each trial. The highest rate of the first setting is found by
raising the rate until the target is missed, then by bisection. Every other setting gets
one trial at a slightly higher rate. Most settings fail it; a setting that succeeds
becomes the new best. Settings that differ from the best in one choice come first, then
those that differ in two.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from math import sqrt

import msgspec

from headway.tools.tune.trial import Bracket, Setting, Trial, brackets

_FIRST_GROWTH = 4.0
_GROWTH = 1.5
_UNKNOWN = Bracket()


class NextTrial(msgspec.Struct, frozen=True):
    """The next trial to run."""

    setting: Setting
    per_s: float
    confirms: bool = False


class RateSearch(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of a search."""

    values: tuple[tuple[int, ...], ...]
    """Values of each choice, the most likely first."""
    trial_s: float
    """Maximum duration of a trial, including the start of its server."""
    confirm_s: float
    """Maximum duration of a confirmation."""
    start_per_s: float = 100.0
    lowest_per_s: float = 5.0
    """A target missed at this rate counts as impossible."""
    precision: float = 1.08
    """Rates within this factor of each other count as equal."""
    confirmations: int = 4
    """Rates at which the best setting is confirmed at the end, until one is kept."""

    def next_trial(self, trials: Sequence[Trial], left_s: float) -> NextTrial | None:
        """Return the next trial, or None if the search is complete or out of time.

        Args:
            trials: All trials so far, in order.
            left_s: Remaining time.
        """
        reserve_s = self.confirm_s if any(trial.kept for trial in trials) else 0.0
        if left_s >= self.trial_s + reserve_s:
            step = self._explore(trials)
            if step is not None:
                return step
        return self._confirm(trials) if left_s >= self.confirm_s else None

    def _explore(self, trials: Sequence[Trial]) -> NextTrial | None:
        known = brackets(trials)
        for setting, bracket in known.items():
            # Repeat a doubtful trial at once: its server is running.
            if bracket.doubted is not None and not bracket.problem:
                return NextTrial(setting, bracket.doubted)
        leader = self._leader(known)
        if leader is None:
            return None
        bracket = known.get(leader, _UNKNOWN)
        if not bracket.is_closed(self.precision, self.lowest_per_s):
            return NextTrial(leader, self._rate(bracket, is_first=len(known) < 2))
        challenger = next(self._challengers(leader, known, trials), None)
        if challenger is None:
            return None
        beaten = bracket.kept * self.precision
        return NextTrial(challenger, max(beaten, self.lowest_per_s))

    def _leader(self, known: Mapping[Setting, Bracket]) -> Setting | None:
        """Return the best setting; the first one until a rate has been kept."""
        works = {
            setting: bracket
            for setting, bracket in known.items()
            if not bracket.problem
        }
        if works:
            return max(works, key=lambda setting: works[setting].kept)
        first = tuple(values[0] for values in self.values)
        near = (s for s in self._near(first) if s not in known)
        return first if first not in known else next(near, None)

    def _rate(self, bracket: Bracket, *, is_first: bool) -> float:
        if bracket.kept and bracket.missed < float("inf"):
            return sqrt(bracket.kept * bracket.missed)
        if bracket.kept:
            return bracket.kept * (_FIRST_GROWTH if is_first else _GROWTH)
        if bracket.missed < float("inf"):
            return max(bracket.missed / _FIRST_GROWTH, self.lowest_per_s)
        return self.start_per_s

    def _challengers(
        self,
        leader: Setting,
        known: Mapping[Setting, Bracket],
        trials: Sequence[Trial],
    ) -> Iterator[Setting]:
        """Yield the untried settings near the leader, the most promising first."""
        served: dict[Setting, float] = {}
        for trial in trials:
            served[trial.setting] = max(trial.ok_per_s, served.get(trial.setting, 0.0))

        def promise(setting: Setting) -> float:
            """Return the rate served by the worse of its two changes alone."""
            changed = [i for i, value in enumerate(setting) if value != leader[i]]
            alone = (
                (*leader[:i], setting[i], *leader[i + 1 :])
                for i in changed
                if len(changed) > 1
            )
            return min((served.get(one, 0.0) for one in alone), default=float("inf"))

        untried = [setting for setting in self._near(leader) if setting not in known]
        yield from sorted(untried, key=promise, reverse=True)

    def _near(self, setting: Setting) -> Iterator[Setting]:
        """Yield all settings that differ in one choice, then in two."""
        others = [
            [value for value in values if value != setting[i]]
            for i, values in enumerate(self.values)
        ]
        for count in (1, 2):
            for places in combinations(range(len(setting)), count):
                for chosen in product(*(others[place] for place in places)):
                    made = list(setting)
                    for place, value in zip(places, chosen, strict=True):
                        made[place] = value
                    yield tuple(made)

    def _confirm(self, trials: Sequence[Trial]) -> NextTrial | None:
        known = brackets(trials)
        leader = self._leader(known)
        rate = known[leader].kept if leader in known else 0.0
        if leader is None or not rate:
            return None
        done = {
            trial.per_s: trial.kept
            for trial in trials
            if trial.confirms and trial.setting == leader
        }
        for i in range(self.confirmations):
            per_s = rate / self.precision**i
            if per_s not in done:
                return NextTrial(leader, per_s, confirms=True)
            if done[per_s]:
                break
        return None


def best(trials: Sequence[Trial]) -> Trial | None:
    """Return the best trial: a confirmed one, otherwise the highest rate kept."""
    kept = [trial for trial in trials if trial.kept]
    return max(kept, key=lambda trial: (trial.confirms, trial.per_s), default=None)
