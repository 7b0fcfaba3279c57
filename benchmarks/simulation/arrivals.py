"""When requests come: by themselves, or from clients who wait for their answers.

A case lists such traffic; the engine draws the times from it.
"""

import math
from collections.abc import Iterator
from random import Random

import msgspec

__all__ = ["Bursty", "Crowd", "Curve", "OnOff", "OpenLoop", "Poisson", "Traffic"]


class OpenLoop(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Arrivals that do not depend on answers."""

    def times(self, begin_s: float, random: Random) -> Iterator[float]:
        """Yield the times of arrival, without end."""
        raise NotImplementedError


class Poisson(OpenLoop, frozen=True, kw_only=True):
    """At random, at a constant rate."""

    rate: float

    def times(self, begin_s: float, random: Random) -> Iterator[float]:
        now = begin_s
        while True:
            now += random.expovariate(self.rate)
            yield now


class Bursty(OpenLoop, frozen=True, kw_only=True):
    """A Poisson process that is modulated by a Markov chain (MMPP).

    It stays at each rate for a random time of the same mean, then goes to another one,
    chosen at random.
    """

    rates: tuple[float, ...]
    stay_s: float

    def times(self, begin_s: float, random: Random) -> Iterator[float]:
        now, rate = begin_s, self.rates[0]
        while True:
            end = now + random.expovariate(1 / self.stay_s)
            while (now := now + random.expovariate(rate)) < end:
                yield now
            now = end
            rate = random.choice([other for other in self.rates if other != rate])


class OnOff(OpenLoop, frozen=True, kw_only=True):
    """Poisson arrivals for a while, then none for a while, in turn."""

    rate: float
    on_s: float
    off_s: float

    def times(self, begin_s: float, random: Random) -> Iterator[float]:
        begin = begin_s
        while True:
            now = begin
            while (now := now + random.expovariate(self.rate)) < begin + self.on_s:
                yield now
            begin += self.on_s + self.off_s


class Curve(OpenLoop, frozen=True, kw_only=True):
    """Poisson arrivals whose rate follows a curve, repeated: a day, replayed faster.

    The rate goes in straight lines from each point to the next, all equally far apart.
    """

    rates: tuple[float, ...]
    period_s: float

    def times(self, begin_s: float, random: Random) -> Iterator[float]:
        highest = max(self.rates)
        now = begin_s
        while True:
            now += random.expovariate(highest)
            place = (now - begin_s) / self.period_s * len(self.rates)
            at = int(place)
            left = self.rates[at % len(self.rates)]
            right = self.rates[(at + 1) % len(self.rates)]
            if random.random() * highest < left + (place - at) * (right - left):
                yield now


class Crowd(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Clients in a closed loop: each sends again after its answer."""

    clients: int
    turnaround_s: tuple[float, float] = (0.1e-3, 1.0e-3)
    """From the answer to the next request: network and client, uniform."""
    think_s: float = 0.0
    """Mean of an exponential pause besides."""
    backoff_s: float = 0.1
    """Pause of a client that was turned away."""

    def pause_s(self, random: Random) -> float:
        """Draw the time from an answer to the next request."""
        low, high = self.turnaround_s
        pause_s = low + (high - low) * random.random()
        if self.think_s:
            pause_s += random.expovariate(1 / self.think_s)
        return pause_s


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """Who sends what, from when to when."""

    arrivals: Poisson | Bursty | OnOff | Curve | Crowd
    begin_s: float = 0.0
    end_s: float = math.inf
    sizes: tuple[int, ...] = (1,)
    """Rows of a request: one of these, equally likely."""
    priority: int = 0
