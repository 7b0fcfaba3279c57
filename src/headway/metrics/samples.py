"""Reads the slots of all processes and adds them up.

metrics/exposition renders the outcome for `/metrics`.
"""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path

import msgspec

from headway.metrics.families import Family
from headway.metrics.slot import read_slot

__all__ = ["Sample", "merge", "read_samples"]


class Sample(msgspec.Struct, frozen=True):
    """One series and its value."""

    family: Family
    labels: tuple[str, ...]
    """Values in the order of `family.labels`."""
    cells: tuple[int, ...]
    """A counter's or gauge's value; a histogram's buckets, then its sum; a log's
    count, then its events."""

    @property
    def value(self) -> float:
        """A counter's or gauge's value in the family's unit."""
        scale = self.family.scale
        return self.cells[0] if scale == 1 else self.cells[0] / scale

    @property
    def cumulative(self) -> list[int]:
        """Observations up to each bound of a histogram, and all of them."""
        return list(accumulate(self.cells[:-1]))

    @property
    def sum(self) -> float:
        """Sum of a histogram's observations in the family's unit."""
        return self.cells[-1] / self.family.scale


def read_samples(paths: Iterable[Path]) -> list[Sample]:
    """Return the sum over the slots, ordered by family and labels.

    Files that are absent or no slots count as empty.
    """
    return merge(
        Sample(record.family, record.labels, cells)
        for path in paths
        for record, cells in read_slot(path)
    )


def merge(samples: Iterable[Sample]) -> list[Sample]:
    """Return one sample for each series, ordered by family and labels."""
    merged: dict[tuple[str, tuple[str, ...]], Sample] = {}
    for sample in samples:
        key = (sample.family.name, sample.labels)
        other = merged.get(key)
        if other is None:
            merged[key] = sample
        elif other.family.kind == sample.family.kind:
            merged[key] = _add(sample, other)
    return [merged[key] for key in sorted(merged)]


def _add(sample: Sample, other: Sample) -> Sample:
    family = sample.family
    pairs = zip(sample.cells, _rebucket(other, family.bounds), strict=True)
    combine = max if family.merge == "max" else int.__add__
    return Sample(family, sample.labels, tuple(combine(a, b) for a, b in pairs))


def _rebucket(sample: Sample, bounds: tuple[float, ...]) -> tuple[int, ...]:
    """Return the cells for other bounds, as after a change of configuration.

    What lay in a bucket goes where the bucket's upper bound lies, so that "at most"
    stays true.
    """
    if sample.family.bounds == bounds:
        return sample.cells
    buckets = [0] * (len(bounds) + 1)
    *old, total = sample.cells
    for bound, count in zip((*sample.family.bounds, float("inf")), old, strict=True):
        buckets[bisect_left(bounds, bound)] += count
    return (*buckets, total)
