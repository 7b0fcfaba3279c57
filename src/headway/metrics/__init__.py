"""Metrics that cost an integer addition and survive the process that counts them.

families lists the metrics. Each process counts by a MetricsRegistry into its metrics
file, and any process reads and adds up the files of all.
"""

from headway.metrics.families import Family
from headway.metrics.metrics_file import Sample, merge, read_samples, zero_gauges
from headway.metrics.registry import Counter, Gauge, Histogram, Log, MetricsRegistry

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
