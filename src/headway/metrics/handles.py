"""What counts: a counter, gauge, histogram or log over cells of a process's slot.

MetricsRegistry makes them; hot paths keep them and call them. They take no lock: one
thread may write to a handle.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence

__all__ = ["LOG_CELLS", "Counter", "Gauge", "Histogram", "Log"]

_LOG_EVENTS = 64
LOG_CELLS = 1 + 2 * _LOG_EVENTS
"""The number of events so far, then the last ones, two integers each."""


class Counter:
    """A number that only grows.

    Args:
        cells: The slot's integers.
        index: The cell of this series.
    """

    __slots__ = ("_cells", "_index")

    def __init__(self, cells: memoryview, index: int) -> None:
        self._cells = cells
        self._index = index

    def add(self, n: int = 1) -> None:
        """Count `n` more of what the family keeps, which is not negative."""
        self._cells[self._index] += n


class Gauge:
    """A number that goes up and down; 0 when its process starts.

    Args:
        cells: The slot's integers.
        index: The cell of this series.
    """

    __slots__ = ("_cells", "_index")

    def __init__(self, cells: memoryview, index: int) -> None:
        self._cells = cells
        self._index = index

    def set(self, value: int) -> None:
        """Make it `value`, in what the family keeps."""
        self._cells[self._index] = value

    def add(self, n: int = 1) -> None:
        """Make it `n` more, or less if `n` is negative."""
        self._cells[self._index] += n


class Histogram:
    """Observations by bucket, and their sum.

    Args:
        cells: The slot's integers.
        index: The first of this series' cells: a bucket for each bound, one for what
            is above them all, and the sum.
        bounds: Upper bounds, inclusive.
        scale: The sum's integer units in one observed unit.
    """

    __slots__ = ("_bounds", "_cells", "_index", "_scale", "_sum")

    def __init__(
        self,
        cells: memoryview,
        index: int,
        bounds: tuple[float, ...],
        scale: int,
    ) -> None:
        self._cells = cells
        self._index = index
        self._bounds = bounds
        self._scale = scale
        self._sum = index + len(bounds) + 1

    def observe(self, value: float) -> None:
        """Count one observation, in the family's unit and finite."""
        # The number of observations is the sum of the buckets, so that it can never
        # disagree with them and costs nothing here.
        cells = self._cells
        cells[self._index + bisect_left(self._bounds, value)] += 1
        cells[self._sum] += int(value * self._scale)

    def observe_all(self, values: Sequence[float]) -> None:
        """Count several observations, for less than each on its own."""
        cells, index, bounds = self._cells, self._index, self._bounds
        # Those of one turn of an event loop are alike: most fall into the same bucket
        # as the one before.
        low, high, bucket, count = math.inf, -math.inf, 0, 0
        for value in values:
            if low < value <= high:
                count += 1
                continue
            cells[index + bucket] += count
            bucket = bisect_left(bounds, value)
            low = bounds[bucket - 1] if bucket else -math.inf
            high = bounds[bucket] if bucket < len(bounds) else math.inf
            count = 1
        cells[index + bucket] += count
        cells[self._sum] += int(sum(values, start=0.0) * self._scale)


class Log:
    """The last events, of two integers each.

    Args:
        cells: The slot's integers.
        index: The first of this series' cells.
    """

    __slots__ = ("_cells", "_index")

    def __init__(self, cells: memoryview, index: int) -> None:
        self._cells = cells
        self._index = index

    def add(self, first: int, second: int) -> None:
        """Keep an event, in the place of the oldest."""
        cells, index = self._cells, self._index
        count = cells[index]
        at = index + 1 + 2 * (count % _LOG_EVENTS)
        cells[at] = first
        cells[at + 1] = second
        cells[index] = count + 1  # last, as readers go by it

    @staticmethod
    def events(cells: Sequence[int], since: int) -> list[tuple[int, int]]:
        """Return the events after the first `since`, as far as they are kept."""
        count = cells[0]
        return [
            (cells[1 + 2 * at], cells[2 + 2 * at])
            for number in range(max(since, count - _LOG_EVENTS), count)
            for at in (number % _LOG_EVENTS,)
        ]
