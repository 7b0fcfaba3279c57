"""The parser of Prometheus reads `/metrics` as rendered."""

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from headway.metrics import Family, MetricsRegistry, Sample, families
from headway.metrics.exposition import CONTENT_TYPE, render
from headway.metrics.families import (
    BATCH_SIZE_ROWS,
    BUILD_INFO,
    QUEUE_ROWS,
    REQUEST_DURATION,
    REQUESTS,
)
from tests.metrics.samples import samples_of
from tests.observability.exposition_rules import faults

Scraped = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(page: bytes) -> Scraped:
    """Return the values that Prometheus would store."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def test_a_page_of_each_kind() -> None:
    registry = MetricsRegistry()
    registry.start()
    registry.counter(REQUESTS, ("classify", "200")).add(3)
    registry.gauge(QUEUE_ROWS, ("iris",)).set(4)
    registry.gauge(BUILD_INFO, ("0.1.0", "3.11.7")).set(1)
    registry.histogram(
        REQUEST_DURATION.with_bounds((0.005, 1.0)), ("classify",)
    ).observe(0.25)
    assert render(samples_of(registry)).decode() == (
        "# HELP headway_build_info Always 1; the labels hold the versions.\n"
        "# TYPE headway_build_info gauge\n"
        'headway_build_info{python="3.11.7",version="0.1.0"} 1.0\n'
        "# HELP headway_request_duration_seconds Time from the last byte of a "
        "request to its response.\n"
        "# TYPE headway_request_duration_seconds histogram\n"
        'headway_request_duration_seconds_bucket{endpoint="classify",le="0.005"} 0.0\n'
        'headway_request_duration_seconds_bucket{endpoint="classify",le="1.0"} 1.0\n'
        'headway_request_duration_seconds_bucket{endpoint="classify",le="+Inf"} 1.0\n'
        'headway_request_duration_seconds_count{endpoint="classify"} 1.0\n'
        'headway_request_duration_seconds_sum{endpoint="classify"} 0.25\n'
        "# HELP headway_requests_total Requests answered, by endpoint and status "
        "code.\n"
        "# TYPE headway_requests_total counter\n"
        'headway_requests_total{code="200",endpoint="classify"} 3.0\n'
        "# HELP headway_runner_queue_rows Queued rows.\n"
        "# TYPE headway_runner_queue_rows gauge\n"
        'headway_runner_queue_rows{runner="iris"} 4.0\n'
    )


def test_nothing_counted_is_an_empty_page() -> None:
    assert render([]) == b""
    assert CONTENT_TYPE.startswith(b"text/plain; version=0.0.4")


def test_every_family_is_rendered() -> None:
    registry = MetricsRegistry()
    registry.start()
    every = [value for value in vars(families).values() if isinstance(value, Family)]
    assert len(every) >= 12
    for family in every:
        for text in ("x", '"\\\n\x0b\u2028'):
            labels = tuple(text for _ in family.labels)
            getattr(registry, family.kind)(family, labels)
    known = [family for family in every if family.kind != "log"]
    page = render(samples_of(registry)).decode()
    assert faults(page) == []
    parsed = list(text_string_to_metric_families(page))
    assert {(family.type, family.documentation) for family in parsed} == {
        (family.kind, family.help) for family in known
    }
    for family in known:
        assert f"# TYPE {family.name} {family.kind}\n" in page


@settings(deadline=None)
@given(
    counts=st.dictionaries(
        st.tuples(st.text(), st.text()), st.integers(0, 2**53), max_size=5
    ),
    rows=st.lists(st.integers(0, 4000), min_size=1, max_size=20),
)
def test_prometheus_reads_the_counts(
    counts: dict[tuple[str, str], int], rows: list[int]
) -> None:
    registry = MetricsRegistry()
    registry.start()
    histogram = registry.histogram(BATCH_SIZE_ROWS, ("iris", "predict"))
    for number in rows:
        histogram.observe(number)
    counters = [Sample(REQUESTS, labels, (count,)) for labels, count in counts.items()]
    scraped = scrape(render([*counters, *samples_of(registry)]))
    for (endpoint, code), count in counts.items():
        labels = frozenset({("endpoint", endpoint), ("code", code)})
        assert scraped["headway_requests_total", labels] == count
    runner = {("runner", "iris"), ("method", "predict")}
    name = BATCH_SIZE_ROWS.name
    assert scraped[f"{name}_count", frozenset(runner)] == len(rows)
    assert scraped[f"{name}_sum", frozenset(runner)] == sum(rows)
    for bound in BATCH_SIZE_ROWS.bounds:
        at_most = scraped[f"{name}_bucket", frozenset(runner | {("le", str(bound))})]
        assert at_most == sum(number <= bound for number in rows)
