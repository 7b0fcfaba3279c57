"""Traffic as it is being sent: the state of one entry of a case's list.

The engine asks it when the first requests come, and when the next one does.
"""

from collections.abc import Iterator
from random import Random

from benchmarks.simulation.arrivals import Crowd, OpenLoop, Traffic
from benchmarks.simulation.request import Request

__all__ = ["Sender"]


class Sender:
    """Sends the requests of some traffic.

    Its random numbers are its own: open-loop arrivals are the same for all policies.

    Args:
        index: Its place in the case's list.
        traffic: What it sends.
        end_s: When the run's traffic ends, whatever the traffic says.
        deadline_s: What its requests are given.
        seed: Of its random numbers.
    """

    __slots__ = (
        "_crowd",
        "_deadline_s",
        "_end_s",
        "_index",
        "_priority",
        "_random",
        "_sizes",
        "_times",
        "_traffic",
    )

    def __init__(
        self,
        *,
        index: int,
        traffic: Traffic,
        end_s: float,
        deadline_s: float,
        seed: int,
    ) -> None:
        self._index = index
        self._traffic = traffic
        self._deadline_s = deadline_s
        self._end_s = min(end_s, traffic.end_s)
        self._priority = traffic.priority
        self._sizes = traffic.sizes
        self._random = Random(f"{seed}/{index}")
        self._crowd: Crowd | None = None
        self._times: Iterator[float] = iter(())
        if isinstance(traffic.arrivals, OpenLoop):
            self._times = traffic.arrivals.times(traffic.begin_s, self._random)
        else:
            self._crowd = traffic.arrivals

    def first(self) -> list[float]:
        """Return when the first requests come."""
        crowd = self._crowd
        if crowd is None:
            first = self.following()
            return [] if first is None else [first]
        begin_s = self._traffic.begin_s
        times = [begin_s + crowd.pause_s(self._random) for _ in range(crowd.clients)]
        return [when for when in times if when < self._end_s]

    def make(self, now: float) -> Request:
        """Return the request that comes now."""
        sizes = self._sizes
        rows = sizes[0] if len(sizes) == 1 else self._random.choice(sizes)
        return Request(now, now + self._deadline_s, rows, self._priority, self._index)

    def following(self) -> float | None:
        """Return when the next one comes by itself, after one has come."""
        when = next(self._times, self._end_s)
        return when if when < self._end_s else None

    def again(self, now: float, *, served: bool) -> float | None:
        """Return when the client comes back that was answered or turned away now."""
        crowd = self._crowd
        if crowd is None:
            return None
        when = now + crowd.pause_s(self._random)
        if not served:
            when += crowd.backoff_s
        return when if when < self._end_s else None
