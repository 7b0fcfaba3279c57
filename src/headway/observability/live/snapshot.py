"""What all processes have counted until one moment, summed as the page needs it.

observability/live/second compares two of them; observability/live/totals shows one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from headway.metrics import Family, Sample

__all__ = ["Snapshot"]


class Snapshot:
    """Samples by family.

    Args:
        samples: One for each series.
        at: Monotonic seconds.
    """

    def __init__(self, samples: Iterable[Sample], at: float) -> None:
        self.at = at
        self._by_family: dict[str, list[Sample]] = defaultdict(list)
        for sample in samples:
            self._by_family[sample.family.name].append(sample)

    def series(self, family: Family, **labels: str) -> list[Sample]:
        """Return the samples of a family that have these labels."""
        wanted = [(family.labels.index(name), labels[name]) for name in labels]
        return [
            sample
            for sample in self._by_family[family.name]
            if all(sample.labels[at] == value for at, value in wanted)
        ]

    def total(self, family: Family, **labels: str) -> float:
        """Return the sum of a counter or gauge over the other labels."""
        return sum(sample.value for sample in self.series(family, **labels))

    def totals(self, family: Family, by: str) -> Mapping[str, float]:
        """Return the sums of a counter or gauge for each value of a label."""
        at = family.labels.index(by)
        sums: dict[str, float] = defaultdict(float)
        for sample in self._by_family[family.name]:
            sums[sample.labels[at]] += sample.value
        return sums

    def cells(self, family: Family, **labels: str) -> Sequence[int]:
        """Return the cells of a histogram, summed over the other labels."""
        series = self.series(family, **labels)
        if not series:
            return [0] * (len(family.bounds) + 2)
        return [sum(cells) for cells in zip(*(s.cells for s in series), strict=True)]

    def bounds(self, family: Family) -> tuple[float, ...]:
        """Return the bounds of a histogram: the configuration may have others."""
        series = self._by_family[family.name]
        return series[0].family.bounds if series else family.bounds
