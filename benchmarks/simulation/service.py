"""How long a batch takes: what the model of a case is like.

A case names one of these; the engine samples it for each batch.
"""

from collections.abc import Sequence
from random import Random
from typing import Final

import msgspec
import numpy as np

__all__ = ["Affine", "Drifting", "HeavyTailed", "Service", "Stalling", "Stepwise"]

_POINTS: Final = 9
"""They stand for a continuous distribution where outcomes must be enumerated."""


class Service(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Seconds of a batch by its rows; this one always takes the same."""

    def mean_s(self, rows: int) -> float:
        """Return the expected seconds, at the start of the run."""
        raise NotImplementedError

    def outcomes(self, rows: int) -> Sequence[tuple[float, float]]:
        """Return the distribution, as pairs of seconds and probability."""
        return [(self.mean_s(rows), 1.0)]

    def sample_s(self, rows: int, now: float, random: Random) -> float:
        """Draw the seconds of a batch that starts now."""
        return self.mean_s(rows)


class Affine(Service, frozen=True, kw_only=True):
    """So much for a batch, and so much for each row."""

    base_s: float
    row_s: float

    def mean_s(self, rows: int) -> float:
        return self.base_s + self.row_s * rows


class Stepwise(Service, frozen=True, kw_only=True):
    """Like a GPU: so much for a batch, and so much for each step of rows begun."""

    base_s: float
    step_s: float
    step_rows: int

    def mean_s(self, rows: int) -> float:
        return self.base_s + self.step_s * -(-rows // self.step_rows)


class HeavyTailed(Service, frozen=True, kw_only=True):
    """Another's time, with a lognormal factor of mean 1."""

    of: Affine | Stepwise
    sigma: float

    def mean_s(self, rows: int) -> float:
        return self.of.mean_s(rows)

    def outcomes(self, rows: int) -> Sequence[tuple[float, float]]:
        # Gauss-Hermite quadrature: these few have the moments of the lognormal.
        normals, weights = np.polynomial.hermite_e.hermegauss(_POINTS)
        seconds = self.mean_s(rows) * np.exp(self.sigma * normals - self.sigma**2 / 2)
        shares = weights / weights.sum()
        return list(zip(seconds.tolist(), shares.tolist(), strict=True))

    def sample_s(self, rows: int, now: float, random: Random) -> float:
        factor = random.lognormvariate(-(self.sigma**2) / 2, self.sigma)
        return self.mean_s(rows) * factor


class Stalling(Service, frozen=True, kw_only=True):
    """Another's time, of which a share of the batches takes a multiple."""

    of: Affine | Stepwise
    share: float
    factor: float

    def mean_s(self, rows: int) -> float:
        return self.of.mean_s(rows) * (1 + self.share * (self.factor - 1))

    def outcomes(self, rows: int) -> Sequence[tuple[float, float]]:
        usual_s = self.of.mean_s(rows)
        return [(usual_s, 1 - self.share), (usual_s * self.factor, self.share)]

    def sample_s(self, rows: int, now: float, random: Random) -> float:
        usual_s = self.of.mean_s(rows)
        return usual_s * self.factor if random.random() < self.share else usual_s


class Drifting(Service, frozen=True, kw_only=True):
    """Another's time, and a multiple of it for a while."""

    of: Affine | Stepwise | HeavyTailed | Stalling
    factor: float
    begin_s: float
    end_s: float

    def mean_s(self, rows: int) -> float:
        return self.of.mean_s(rows)

    def sample_s(self, rows: int, now: float, random: Random) -> float:
        is_slow = self.begin_s <= now < self.end_s
        factor = self.factor if is_slow else 1.0
        return self.of.sample_s(rows, now, random) * factor
