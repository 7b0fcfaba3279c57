"""S(n), the seconds that a batch of n rows takes, and the batch size that follows.

The scheduler asks for the mean and the upper tail; every finished batch teaches them.
`rows_worthwhile` and `rows_in_time` choose the rows of the next batch.
"""

import bisect
import math
from collections.abc import Callable
from itertools import accumulate
from typing import Final

_SPEED_RATE = 0.1
"""How fast the speed follows, which all sizes share."""
_SHAPE_RATE = 0.03
"""How fast one size follows, relative to the others."""
_TAIL_DEVIATIONS = 3.0
"""Mean absolute deviations over the mean: the 99th percentile of a normal sample."""
_OUTLIER_DEVIATIONS = 3.0
_DRIFT_AFTER = 3
"""Consecutive outliers on one side that count as a new speed."""
_STEADY_AFTER = 8
"""Batches of a size after which it informs the speed."""
_REPUBLISH_CHANGE = 0.02
"""Change of a bucket, relative to its mean, after which predictions follow."""
_DOUBT_DEVIATIONS = 2.0
"""Possible error of a learned mean, in deviations of it."""
_FIRST_SCATTER = 0.125
"""Deviation relative to the mean that is assumed before any is known."""
_LARGEST_STEP = 3.0
"""The first batch of a size counts at most as this multiple of the prediction."""
_SHORTEST_S = 1e-9
"""No batch takes no time: drift from a mean of zero could not be detected."""
_GIVEN_UP: Final = 0.1
"""Share of the spare throughput that a smaller batch may cost.

Against the optimum (benchmarks/simulation/optimum.py), over constant, affine, nearly
linear, stepwise and heavy-tailed S(n) at loads from 0.1 to 0.95, the mean latency is at
most 3% above it; at 0.25 it is up to 12% above, and at 0 (always all that waits) 9%.
"""
_HIGHEST_SHARED_LOAD: Final = 0.8
"""Load up to which idle replicas split the queue, though that costs throughput."""
_SHARING_GAIN: Final = 0.9
"""They split it if each part takes at most this share of the time of the whole."""


class _Bucket:
    """Batches of about the same size; seconds as they would be at a speed of 1."""

    __slots__ = ("count", "deviation", "mean", "published", "rows")

    def __init__(self, rows: int, seconds: float, deviation: float) -> None:
        self.count = 1
        self.rows = float(rows)
        self.mean = seconds
        self.deviation = deviation
        self.published = (seconds, deviation)
        """Mean and deviation that predictions read."""

    def learn(self, rows: int, seconds: float) -> None:
        self.count += 1
        rate = max(1 / self.count, _SHAPE_RATE)
        self.rows += rate * (rows - self.rows)
        error = seconds - self.mean
        self.mean += rate * error
        self.deviation += rate * (abs(error) - self.deviation)

    def doubt(self, scatter: float) -> float:
        """Return the possible error of the mean, given the usual relative scatter."""
        deviation = max(self.deviation, scatter * self.mean)
        weight = max(1 / self.count, _SHAPE_RATE / 2)
        return min(_DOUBT_DEVIATIONS * math.sqrt(weight) * deviation, 0.9 * self.mean)

    def clip(self, seconds: float) -> tuple[float, int]:
        """Return a sample, clipped if it is an outlier, and on which side it is."""
        error = seconds - self.mean
        bound = _OUTLIER_DEVIATIONS * self.deviation + 0.1 * self.mean
        if abs(error) <= bound:
            return seconds, 0
        side = 1 if error > 0 else -1
        return max(self.mean + side * 2 * self.deviation, _SHORTEST_S), side


class CostModel:
    """The learned time of a batch by its rows: a speed times a shape.

    All sizes share the current speed, which is followed closely: a model that becomes
    slower does so for every size. The shape is how sizes compare. It is kept in buckets
    an eighth of a doubling wide, each with a moving mean and mean absolute deviation;
    between buckets it is interpolated, beyond the largest it grows in proportion, and
    it never falls as the rows grow (pooling of adjacent violators). A single outlier is
    clipped; several consecutive ones on one side are a new speed.
    """

    def __init__(self) -> None:
        self._buckets: dict[int, _Bucket] = {}
        self._speed = 1.0
        self._outliers: list[float] = []
        self._rows: list[float] = []
        self._means: list[float] = []
        self._tails: list[float] = []
        self._optimistic: list[float] = []
        self._peaks: list[float] = []
        self._scatter = _FIRST_SCATTER
        self.learned_at = float("-inf")

    @property
    def knows(self) -> bool:
        """Whether any batch was observed."""
        return bool(self._rows)

    @property
    def smallest(self) -> int:
        """Approximate rows of the smallest batch observed; 0 before the first."""
        return math.floor(self._rows[0]) if self._rows else 0

    @property
    def largest(self) -> int:
        """Approximate rows of the largest batch observed; 0 before the first."""
        return math.ceil(self._rows[-1]) if self._rows else 0

    def mean(self, rows: int) -> float:
        """Return the expected seconds of a batch; 0 before the first."""
        return self._speed * self._interpolate(self._means, rows)

    def tail(self, rows: int) -> float:
        """Return seconds that a batch seldom exceeds; 0 before the first."""
        return self._speed * self._interpolate(self._tails, rows)

    def peak_rate(self, rows: int) -> float:
        """Return the rows per second of the best batch of at most `rows` rows.

        Call it only if the model `knows` anything.
        """
        # Between two known sizes S(n) is straight, so n / S(n) is highest at an end.
        at = bisect.bisect_right(self._rows, rows)
        # An optimistic bound for the requested size, pessimistic ones for smaller
        # sizes: a size is given up only if another is better beyond doubt, and a size
        # with a few slow batches is tried again.
        own = rows / self._interpolate(self._optimistic, rows)
        return (max(self._peaks[at - 1], own) if at else own) / self._speed

    def fewest_rows(self, rate: float, most: int) -> int:
        """Return the smallest known size that serves `rate` rows per second.

        It is `most` if no smaller one does.
        """
        # Rounded up to the end of its bucket, which no step of S(n) divides.
        at = bisect.bisect_left(self._peaks, rate * self._speed)
        if at == len(self._rows) or self._rows[at] >= most:
            return most
        return math.ceil(self._rows[at])

    def observe(self, rows: int, seconds: float, now: float) -> None:
        """Learn from a finished batch."""
        self.learned_at = now
        sample = max(seconds, _SHORTEST_S) / self._speed
        slot = _slot(rows)
        bucket = self._buckets.get(slot)
        if bucket is None:
            surprise = 0.0
            if self._rows:
                # The first of a size may be an outlier: any excess over the prediction
                # counts as uncertain.
                expected = self._interpolate(self._means, rows)
                sample = min(sample, _LARGEST_STEP * expected)
                surprise = sample - expected
            deviation = max(self._scatter * sample, surprise)
            self._buckets[slot] = _Bucket(rows, sample, deviation)
            self._publish()
            return
        if bucket.count >= _STEADY_AFTER:
            # Before that, a sample says more about the size than about the speed.
            clipped, side = bucket.clip(sample)
            if not side:
                self._outliers.clear()
            elif self._is_new_speed(sample / bucket.mean):
                return
            self._speed *= 1 + _SPEED_RATE * (clipped / bucket.mean - 1)
            sample = clipped
        bucket.learn(rows, sample)
        mean, deviation = bucket.published
        change = abs(bucket.mean - mean) + abs(bucket.deviation - deviation)
        if change > _REPUBLISH_CHANGE * mean:
            self._publish()

    def _is_new_speed(self, ratio: float) -> bool:
        """Add an outlier; take several consecutive ones on one side for a new speed."""
        outliers = self._outliers
        if outliers and (outliers[-1] > 1) != (ratio > 1):
            outliers.clear()
        outliers.append(ratio)
        if len(outliers) < _DRIFT_AFTER:
            return False
        self._speed *= sorted(outliers)[len(outliers) // 2]
        outliers.clear()
        return True

    def _publish(self) -> None:
        """Compute the curves that predictions read: rising in rows, mean and tail."""
        buckets = [self._buckets[slot] for slot in sorted(self._buckets)]
        for bucket in buckets:
            bucket.published = (bucket.mean, bucket.deviation)
        weights = [min(bucket.count, 1 / _SHAPE_RATE) for bucket in buckets]
        self._rows = [bucket.rows for bucket in buckets]
        self._means = _rising([bucket.mean for bucket in buckets], weights)
        self._tails = _rising(
            [bucket.mean + _TAIL_DEVIATIONS * bucket.deviation for bucket in buckets],
            weights,
        )
        scatters = [
            weight * bucket.deviation / bucket.mean
            for bucket, weight in zip(buckets, weights, strict=True)
        ]
        self._scatter = sum(scatters, start=0.0) / sum(weights, start=0.0)
        doubts = [bucket.doubt(self._scatter) for bucket in buckets]
        # Pooling may leave less of a mean than the doubt of the size itself.
        self._optimistic = _rising(
            [
                max(mean, bucket.mean) - doubt
                for bucket, mean, doubt in zip(
                    buckets, self._means, doubts, strict=True
                )
            ],
            weights,
        )
        rates = [
            rows / (mean + doubt)
            for rows, mean, doubt in zip(self._rows, self._means, doubts, strict=True)
        ]
        self._peaks = list(accumulate(rates, max))

    def _interpolate(self, curve: list[float], rows: int) -> float:
        if not curve:
            return 0.0
        known = self._rows
        at = bisect.bisect_left(known, rows)
        if at == 0:
            return curve[0]
        if at == len(known):
            # Larger sizes are unknown: the worst case is in proportion.
            return curve[-1] * rows / known[-1]
        left, right = known[at - 1], known[at]
        share = (rows - left) / (right - left)
        return curve[at - 1] + share * (curve[at] - curve[at - 1])


def _slot(rows: int) -> int:
    """Return the bucket of a size: exact up to 16, then 8 to a doubling.

    A bucket ends with a round number, as the steps of S(n) do on a GPU: 32 is together
    with 31, whose time it shares, and not with 33.
    """
    if rows <= 16:
        return rows
    shift = (rows - 1).bit_length() - 4
    return (shift << 3) + ((rows - 1) >> shift) + 1


def _rising(values: list[float], weights: list[float]) -> list[float]:
    """Return the closest rising sequence (pooling of adjacent violators)."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        pool = (value, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, mass, size = pools.pop()
            total = mass + pool[1]
            joined = (mean * mass + pool[0] * pool[1]) / total
            pool = (joined, total, size + pool[2])
        pools.append(pool)
    return [mean for mean, _, size in pools for _ in range(size)]


def rows_worthwhile(
    waiting: int, cap: int, idle: int, load: float, cost: CostModel
) -> int:
    """Return the rows of the next batch if no deadline is near.

    The fewest that keep nearly the best throughput: a larger batch pays as long as rows
    per second rise, but not for a last few percent, as every call waits for the whole
    batch. The less capacity is spare, the closer to the best it has to be: with L rows
    arriving per second and B the best rate of any batch that could be formed, the rate
    must reach L + (1 - _GIVEN_UP) * (B - L).

    Args:
        waiting: Rows that could start now, at least 1.
        cap: Largest batch.
        idle: Replicas that could take a batch now.
        load: Share of all replicas that the arriving work keeps busy, up to 1.
        cost: S(n); sizes beyond its largest are tried.
    """
    most = min(waiting, cap)
    if most > cost.largest:
        return most
    arriving = load * cost.peak_rate(cap)
    # A queue as long as a batch shows a burst before the offered load does.
    burst = most / cap * cost.peak_rate(cap)
    best = cost.peak_rate(most)
    needed = best - _GIVEN_UP * max(best - max(arriving, burst), 0.0)
    rows = cost.fewest_rows(needed, most)
    if idle > 1 and rows > 1:
        # Fewer rows, if the other idle replicas gain by taking the rest.
        fewest = cost.fewest_rows(arriving / _HIGHEST_SHARED_LOAD, rows)
        share = max(-(-waiting // idle), fewest)
        if share < rows and cost.mean(share) < _SHARING_GAIN * cost.mean(rows):
            return share
    return rows


def rows_in_time(
    rows: int, least: int, slack_s: float, load: float, cap: int, cost: CostModel
) -> int:
    """Return the rows of a batch whose first call is due in `slack_s`; 0 for none.

    A smaller batch finishes earlier. Under full load, though, it would make more calls
    miss their deadline than it saves: then the first call is given up instead.

    Args:
        rows: The batch size without the deadline.
        least: The smallest batch that can hold the first call.
        slack_s: Seconds until that call is due.
        load: Share of all replicas that the arriving work keeps busy, up to 1.
        cap: Largest batch.
        cost: S(n).
    """
    if cost.tail(rows) <= slack_s:
        return rows
    arriving = load * cost.peak_rate(cap)
    for seconds in (cost.tail, cost.mean):
        # Certainly in time, otherwise likely.
        fit = _most_within(slack_s, rows, seconds)
        if fit == rows or (fit >= least and fit / cost.mean(fit) >= arriving):
            return fit
    return 0


def _most_within(seconds: float, most: int, seconds_of: Callable[[int], float]) -> int:
    """Return the most rows, up to `most`, that take no longer; 0 for none."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if seconds_of(middle) <= seconds:
            low = middle
        else:
            high = middle - 1
    return low
