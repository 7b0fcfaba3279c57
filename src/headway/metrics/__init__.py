"""Metrics that cost an integer addition and survive the process that counts them.

families says what is counted; a MetricsRegistry in each process counts into a slot;
samples reads the slots of all processes and adds them up.
"""

from headway.metrics.families import Family
from headway.metrics.handles import Counter, Gauge, Histogram, Log
from headway.metrics.registry import MetricsRegistry
from headway.metrics.samples import Sample, merge, read_samples
from headway.metrics.slot import zero_gauges

__all__ = [
    "Counter",
    "Family",
    "Gauge",
    "Histogram",
    "Log",
    "MetricsRegistry",
    "Sample",
    "merge",
    "read_samples",
    "zero_gauges",
]
