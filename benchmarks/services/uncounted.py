"""The logistic regression on iris, in processes that count nothing.

What counting costs is what this serves more (benchmarks/monitoring.py).
"""

from typing import Any

from benchmarks.services.models import logistic
from headway.metrics.registry import Counter, Gauge, Histogram, Log

__all__ = ["logistic"]


def _count_nothing(*_: Any) -> None:
    """Replace every method that counts."""


for _kind in (Counter, Gauge, Histogram, Log):
    for _name in ("add", "set", "observe", "observe_all"):
        if hasattr(_kind, _name):
            setattr(_kind, _name, _count_nothing)
