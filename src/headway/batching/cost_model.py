"""S(n): the seconds that a batch of n rows takes, learned while serving.

The scheduler asks it for the mean and the upper tail; every finished batch teaches it.
"""

import bisect

__all__ = ["CostModel"]

_LEARNING_RATE = 0.1
_TAIL_DEVIATIONS = 3.0
"""Mean absolute deviations over the mean: the 99th percentile of a normal sample."""
_OUTLIER_DEVIATIONS = 6.0
_DRIFT_AFTER = 3
"""Outliers in a row, all to one side, that are no longer bad luck but a new speed."""
_REPUBLISH_CHANGE = 0.02
"""Change of a bucket, in proportion to its mean, from which on predictions follow."""
_SHORTEST_S = 1e-9
"""No batch takes no time: a mean of zero would never be seen to drift."""


class _Bucket:
    """Batches of about the same size."""

    __slots__ = ("count", "deviation", "mean", "rows")

    def __init__(self, rows: int, seconds: float) -> None:
        self.count = 1
        self.rows = float(rows)
        self.mean = seconds
        self.deviation = seconds / 8

    def learn(self, rows: int, seconds: float) -> None:
        self.count += 1
        rate = max(1 / self.count, _LEARNING_RATE)
        self.rows += rate * (rows - self.rows)
        error = seconds - self.mean
        self.mean += rate * error
        self.deviation += rate * (abs(error) - self.deviation)

    def outlier(self, seconds: float) -> int:
        """Return 1 or -1 if the sample is far above or below, else 0."""
        bound = _OUTLIER_DEVIATIONS * self.deviation + 0.1 * self.mean
        if self.count < _DRIFT_AFTER or abs(seconds - self.mean) <= bound:
            return 0
        return 1 if seconds > self.mean else -1


class CostModel:
    """The learned time of a batch by its rows.

    Sizes are kept in buckets an eighth of a doubling wide, each with a moving mean and
    mean absolute deviation. Between buckets the time is interpolated, beyond the
    largest it grows in proportion, and it never falls as the rows grow (pooling of
    adjacent violators). A lone outlier is clipped; several in a row to one side are a
    drift, which scales all buckets at once, so that sizes not seen since also know.
    """

    __slots__ = (
        "_buckets",
        "_drift",
        "_means",
        "_published",
        "_rows",
        "_tails",
        "learned_at",
    )

    def __init__(self) -> None:
        self._buckets: dict[int, _Bucket] = {}
        self._drift: list[float] = []
        self._rows: list[float] = []
        self._means: list[float] = []
        self._tails: list[float] = []
        self._published: dict[int, tuple[float, float]] = {}
        self.learned_at = float("-inf")

    @property
    def knows(self) -> bool:
        """Whether any batch was observed."""
        return bool(self._rows)

    def mean(self, rows: int) -> float:
        """Return the expected seconds of a batch; 0 as long as nothing is known."""
        return self._interpolate(self._means, rows)

    def tail(self, rows: int) -> float:
        """Return seconds that a batch seldom exceeds; 0 as long as nothing is known."""
        return self._interpolate(self._tails, rows)

    def observe(self, rows: int, seconds: float, now: float) -> None:
        """Learn from a finished batch."""
        self.learned_at = now
        seconds = max(seconds, _SHORTEST_S)
        slot = _slot(rows)
        bucket = self._buckets.get(slot)
        if bucket is None:
            self._buckets[slot] = _Bucket(rows, seconds)
            self._publish()
            return
        side = bucket.outlier(seconds)
        if side:
            seconds = self._weigh_outlier(bucket, seconds, side)
        else:
            self._drift.clear()
        bucket.learn(rows, seconds)
        mean, deviation = self._published[slot]
        change = abs(bucket.mean - mean) + abs(bucket.deviation - deviation)
        if change > _REPUBLISH_CHANGE * mean:
            self._publish()

    def _weigh_outlier(self, bucket: _Bucket, seconds: float, side: int) -> float:
        """Return the sample clipped, or take it for a drift and rescale."""
        ratio = seconds / bucket.mean
        if self._drift and (self._drift[-1] > 1) != (side > 0):
            self._drift.clear()
        self._drift.append(ratio)
        if len(self._drift) < _DRIFT_AFTER:
            return bucket.mean + side * 2 * bucket.deviation
        scale = sorted(self._drift)[len(self._drift) // 2]
        self._drift.clear()
        for other in self._buckets.values():
            other.mean *= scale
            other.deviation *= scale
            # Few samples count as yet at the new speed: learn it quickly.
            other.count = min(other.count, _DRIFT_AFTER)
        self._publish()
        return bucket.mean

    def _publish(self) -> None:
        """Make the curve that predictions read: rising in rows, mean and tail."""
        slots = sorted(self._buckets)
        self._published = {
            slot: (self._buckets[slot].mean, self._buckets[slot].deviation)
            for slot in slots
        }
        buckets = [self._buckets[slot] for slot in slots]
        weights = [float(min(bucket.count, 10)) for bucket in buckets]
        self._rows = [bucket.rows for bucket in buckets]
        self._means = _rising([bucket.mean for bucket in buckets], weights)
        self._tails = _rising(
            [bucket.mean + _TAIL_DEVIATIONS * bucket.deviation for bucket in buckets],
            weights,
        )

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
    """Return the bucket of a size: exact up to 8, then 8 to a doubling."""
    if rows <= 8:
        return rows
    shift = rows.bit_length() - 4
    return (shift << 3) + (rows >> shift)


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
