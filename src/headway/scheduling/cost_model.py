"""S(n): the seconds that a batch of n rows takes, learned while serving.

The scheduler asks it for the mean and the upper tail; every finished batch teaches it.
"""

import bisect
import math
from itertools import accumulate

__all__ = ["CostModel"]

_SPEED_RATE = 0.1
"""How fast the speed follows, which all sizes have in common."""
_SHAPE_RATE = 0.03
"""How fast a size follows, in proportion to the others."""
_TAIL_DEVIATIONS = 3.0
"""Mean absolute deviations over the mean: the 99th percentile of a normal sample."""
_OUTLIER_DEVIATIONS = 3.0
_DRIFT_AFTER = 3
"""Outliers in a row, all to one side, that are no longer bad luck but a new speed."""
_STEADY_AFTER = 8
"""Batches of a size from which on it tells the speed."""
_REPUBLISH_CHANGE = 0.02
"""Change of a bucket, in proportion to its mean, from which on predictions follow."""
_DOUBT_DEVIATIONS = 2.0
"""How far off a learned mean may be, in deviations of it."""
_FIRST_SCATTER = 0.125
"""Deviation in proportion to the mean that is assumed as long as there is no other."""
_LARGEST_STEP = 3.0
"""By so much the first batch of a size may exceed what its neighbours tell."""
_SHORTEST_S = 1e-9
"""No batch takes no time: a mean of zero would never be seen to drift."""


class _Bucket:
    """Batches of about the same size; seconds as they would be at a speed of 1."""

    __slots__ = ("count", "deviation", "mean", "rows")

    def __init__(self, rows: int, seconds: float, deviation: float) -> None:
        self.count = 1
        self.rows = float(rows)
        self.mean = seconds
        self.deviation = deviation

    def learn(self, rows: int, seconds: float) -> None:
        self.count += 1
        rate = max(1 / self.count, _SHAPE_RATE)
        self.rows += rate * (rows - self.rows)
        error = seconds - self.mean
        self.mean += rate * error
        self.deviation += rate * (abs(error) - self.deviation)

    def doubt(self, scatter: float) -> float:
        """Return how far off the mean may be, given the usual relative scatter."""
        deviation = max(self.deviation, scatter * self.mean)
        weight = max(1 / self.count, _SHAPE_RATE / 2)
        return min(_DOUBT_DEVIATIONS * math.sqrt(weight) * deviation, 0.9 * self.mean)

    def clip(self, seconds: float) -> tuple[float, int]:
        """Return a sample, clipped if it is an outlier, and to which side it is."""
        error = seconds - self.mean
        bound = _OUTLIER_DEVIATIONS * self.deviation + 0.1 * self.mean
        if abs(error) <= bound:
            return seconds, 0
        side = 1 if error > 0 else -1
        return max(self.mean + side * 2 * self.deviation, _SHORTEST_S), side


class CostModel:
    """The learned time of a batch by its rows: a speed times a shape.

    The speed is the moment's, of all sizes, and followed closely: a model that becomes
    slower does so for sizes not seen since, too. The shape is how sizes compare. It is
    kept in buckets an eighth of a doubling wide, each with a moving mean and mean
    absolute deviation; between buckets it is interpolated, beyond the largest it grows
    in proportion, and it never falls as the rows grow (pooling of adjacent violators).
    A lone outlier is clipped; several in a row to one side are a new speed.
    """

    __slots__ = (
        "_buckets",
        "_hopes",
        "_means",
        "_outliers",
        "_peaks",
        "_published",
        "_rows",
        "_scatter",
        "_speed",
        "_tails",
        "learned_at",
    )

    def __init__(self) -> None:
        self._buckets: dict[int, _Bucket] = {}
        self._speed = 1.0
        self._outliers: list[float] = []
        self._rows: list[float] = []
        self._means: list[float] = []
        self._tails: list[float] = []
        self._hopes: list[float] = []
        self._peaks: list[float] = []
        self._scatter = _FIRST_SCATTER
        self._published: dict[int, tuple[float, float]] = {}
        self.learned_at = float("-inf")

    @property
    def knows(self) -> bool:
        """Whether any batch was observed."""
        return bool(self._rows)

    @property
    def smallest(self) -> int:
        """Rows of the smallest batch observed, about; 0 as long as nothing is known."""
        return math.floor(self._rows[0]) if self._rows else 0

    @property
    def largest(self) -> int:
        """Rows of the largest batch observed, about; 0 as long as nothing is known."""
        return math.ceil(self._rows[-1]) if self._rows else 0

    @property
    def samples(self) -> list[tuple[int, float]]:
        """Rows and seconds that stand for all that was observed."""
        return [
            (round(bucket.rows), self._speed * bucket.mean)
            for bucket in self._buckets.values()
        ]

    def mean(self, rows: int) -> float:
        """Return the expected seconds of a batch; 0 as long as nothing is known."""
        return self._speed * self._interpolate(self._means, rows)

    def tail(self, rows: int) -> float:
        """Return seconds that a batch seldom exceeds; 0 as long as nothing is known."""
        return self._speed * self._interpolate(self._tails, rows)

    def peak_rate(self, rows: int) -> float:
        """Return the rows per second of the best batch of at most so many rows.

        Only once something is known.
        """
        # Between two known sizes S(n) is straight, so n / S(n) is highest at an end.
        at = bisect.bisect_right(self._rows, rows)
        # What is asked for has the benefit of the doubt, and smaller ones have not: so
        # a size is given up for another only if that is better beyond it, and a size
        # that had bad luck is tried again.
        own = rows / self._interpolate(self._hopes, rows)
        return (max(self._peaks[at - 1], own) if at else own) / self._speed

    def fewest_rows(self, rate: float, most: int) -> int:
        """Return the smallest known size with that many rows per second, or `most`."""
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
                # It may be an outlier, and nothing of its size tells. So by as much as
                # it exceeds what its neighbours tell, it is in doubt.
                expected = self._interpolate(self._means, rows)
                sample = min(sample, _LARGEST_STEP * expected)
                surprise = sample - expected
            deviation = max(self._scatter * sample, surprise)
            self._buckets[slot] = _Bucket(rows, sample, deviation)
            self._publish()
            return
        if bucket.count >= _STEADY_AFTER:
            # Before, it tells more of the size than of the speed.
            clipped, side = bucket.clip(sample)
            if not side:
                self._outliers.clear()
            elif self._is_new_speed(sample / bucket.mean):
                return
            self._speed *= 1 + _SPEED_RATE * (clipped / bucket.mean - 1)
            sample = clipped
        bucket.learn(rows, sample)
        mean, deviation = self._published[slot]
        change = abs(bucket.mean - mean) + abs(bucket.deviation - deviation)
        if change > _REPUBLISH_CHANGE * mean:
            self._publish()

    def _is_new_speed(self, ratio: float) -> bool:
        """Note an outlier; take several in a row to one side for a new speed."""
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
        """Make the curve that predictions read: rising in rows, mean and tail."""
        slots = sorted(self._buckets)
        self._published = {
            slot: (self._buckets[slot].mean, self._buckets[slot].deviation)
            for slot in slots
        }
        buckets = [self._buckets[slot] for slot in slots]
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
        pairs = list(zip(self._means, doubts, strict=True))
        # Pooling may have left less of a mean than there is doubt of the size's own.
        hopes = [
            max(mean, bucket.mean) - doubt
            for bucket, (mean, doubt) in zip(buckets, pairs, strict=True)
        ]
        self._hopes = _rising(hopes, weights)
        rates = [
            rows / (mean + doubt)
            for rows, (mean, doubt) in zip(self._rows, pairs, strict=True)
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
            # Nothing is known of larger ones: the worst case is in proportion.
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
