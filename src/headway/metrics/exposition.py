"""Renders samples in Prometheus' text format, for `/metrics`.

api/pages calls it with the samples of `read_samples`. A file of its own, so that only
API workers import prometheus-client.
"""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from headway.metrics.metrics_file import Sample

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_KINDS = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


def render(samples: Iterable[Sample]) -> bytes:
    """Return the page; samples of one family may come in any order."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(samples))
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Metric]:
        metrics: dict[str, Metric] = {}
        for sample in self._samples:
            if sample.family.kind == "log":
                continue
            name = sample.family.name
            if name not in metrics:
                kind = _KINDS[sample.family.kind]
                metrics[name] = kind(
                    name, sample.family.help, labels=sample.family.labels
                )
            _add(metrics[name], sample)
        yield from metrics.values()


def _add(metric: Metric, sample: Sample) -> None:
    if isinstance(metric, HistogramMetricFamily):
        bounds = (*map(floatToGoString, sample.family.bounds), "+Inf")
        buckets = list(zip(bounds, map(float, sample.cumulative), strict=True))
        metric.add_metric(sample.labels, buckets, sample.sum)
    elif isinstance(metric, CounterMetricFamily | GaugeMetricFamily):
        metric.add_metric(sample.labels, sample.value)
