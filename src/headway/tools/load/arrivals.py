"""Arrival processes: when the requests of an open-loop user are due.

Locustfiles choose one; load/open_loop_sender reads its times.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from headway.errors import TrafficError

_CHUNK = 1024


class Arrivals(ABC):
    """A schedule; each user follows its own copy."""

    @abstractmethod
    def times(self) -> Iterator[float]:
        """Yield the due time of each request, in seconds from the user's start."""


class Constant(Arrivals):
    """Requests at equal intervals.

    Args:
        per_s: Requests per second.
    """

    def __init__(self, per_s: float) -> None:
        self._per_s = _rate(per_s)

    def times(self) -> Iterator[float]:
        """Yield the due times."""
        return (number / self._per_s for number in itertools.count())


class Poisson(Arrivals):
    """A Poisson process: independent requests, as from many people.

    Args:
        per_s: Requests per second, on average.
        seed: Reproduces a schedule; None: a different one for each user.
    """

    def __init__(self, per_s: float, seed: int | None = None) -> None:
        self._per_s = _rate(per_s)
        self._seed = seed

    def times(self) -> Iterator[float]:
        """Yield the due times."""
        random = np.random.default_rng(self._seed)
        began = 0.0
        while True:
            chunk = began + np.cumsum(random.exponential(1 / self._per_s, _CHUNK))
            yield from chunk.tolist()
            began = float(chunk[-1])


class Bursts(Arrivals):
    """Several requests at once, then a pause.

    Args:
        per_s: Requests per second, on average.
        size: Requests in a burst.
    """

    def __init__(self, per_s: float, size: int) -> None:
        self._per_s = _rate(per_s)
        if size < 1:
            raise TrafficError(f"a burst of {size} requests is empty: write 1 or more")
        self._size = size

    def times(self) -> Iterator[float]:
        """Yield the due times."""
        return (
            number // self._size * self._size / self._per_s
            for number in itertools.count()
        )


class Trace(Arrivals):
    """Replays recorded times; the user stops after the last one.

    Args:
        source: Times in seconds, as from a log; or a file with one time at the start of
            each line. The first time is the start.
        speed: Replay speed: 2 is twice as fast.
    """

    def __init__(
        self, source: Sequence[float] | str | Path, *, speed: float = 1.0
    ) -> None:
        if speed <= 0:
            raise TrafficError(
                f"a trace cannot be replayed at {speed:g} times its speed: "
                "write a number above 0"
            )
        times = _read_times(Path(source)) if isinstance(source, str | Path) else source
        if not len(times):
            raise TrafficError("a trace without any time cannot be replayed")
        ordered = np.sort(np.asarray(times, dtype=float))
        self._times: list[float] = ((ordered - ordered[0]) / speed).tolist()

    def times(self) -> Iterator[float]:
        """Yield the due times."""
        return iter(self._times)


def _rate(per_s: float) -> float:
    if not 0 < per_s < float("inf"):
        raise TrafficError(
            f"{per_s:g} requests per second is not a rate: write a number above 0"
        )
    return per_s


def _read_times(file: Path) -> list[float]:
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TrafficError(f"the trace {file} cannot be read: {error}") from error
    times = []
    for number, line in enumerate(lines, start=1):
        words = line.replace(",", " ").split()
        if not words:
            continue
        try:
            time = float(words[0])
        except ValueError:
            time = float("nan")
        if not abs(time) < float("inf"):
            raise TrafficError(
                f"the trace {file}, line {number}: {words[0]!r} is not a time in "
                "seconds"
            )
        times.append(time)
    return times
