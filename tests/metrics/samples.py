"""What a registry counted, for tests that write no files."""

from headway.metrics import MetricsRegistry, Sample, merge

__all__ = ["samples_of"]


def samples_of(registry: MetricsRegistry) -> list[Sample]:
    """Return what a registry counted, ordered by family and labels."""
    cells = registry.cells
    return merge(
        Sample(one.family, one.labels, tuple(cells[one.cell : one.end]))
        for one in registry.series
    )
