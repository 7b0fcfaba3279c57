"""The models of the catalogue: how long batches take, and how large they may be."""

from typing import Final

import msgspec

from benchmarks.simulation.service import (
    Affine,
    HeavyTailed,
    Service,
    Stalling,
    Stepwise,
)

__all__ = ["MODELS", "Model"]


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model that cases offer traffic to."""

    about: str
    service: Affine | Stepwise | HeavyTailed | Stalling
    max_rows: int

    @property
    def rate(self) -> float:
        """Rows per second of one replica, at the best size of a batch."""
        return best_rate(self.service, self.max_rows)


def best_rate(service: Service, max_rows: int) -> float:
    """Return the rows per second of one replica, at the best size of a batch."""
    return max(rows / service.mean_s(rows) for rows in range(1, max_rows + 1))


_FOREST: Final = Affine(base_s=4.3e-3, row_s=2e-6)
_SMALL: Final = Affine(base_s=1e-3, row_s=0.1e-3)

MODELS: Final = {
    "forest": Model(
        about="4.3 ms + 2 us a row, up to 100: a forest of 100 trees",
        service=_FOREST,
        max_rows=100,
    ),
    "small": Model(
        about="1 ms + 0.1 ms a row, up to 32",
        service=_SMALL,
        max_rows=32,
    ),
    "linear": Model(
        about="0.2 ms + 0.2 ms a row, up to 100: large batches gain little",
        service=Affine(base_s=0.2e-3, row_s=0.2e-3),
        max_rows=100,
    ),
    "gpu": Model(
        about="1 ms + 2 ms for each 8 rows begun, up to 64",
        service=Stepwise(base_s=1e-3, step_s=2e-3, step_rows=8),
        max_rows=64,
    ),
    "uneven": Model(
        about="as small, times a lognormal factor (sigma 0.4)",
        service=HeavyTailed(of=_SMALL, sigma=0.4),
        max_rows=32,
    ),
    "stalling": Model(
        about="as small, up to 16, but 5% of the batches take 5 times as long",
        service=Stalling(of=_SMALL, share=0.05, factor=5.0),
        max_rows=16,
    ),
    "large": Model(
        about="50 ms + 5 ms a row, up to 16: for many replicas",
        service=Affine(base_s=50e-3, row_s=5e-3),
        max_rows=16,
    ),
}
