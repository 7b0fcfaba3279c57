"""Counters, gauges and histograms, in memory and in a file; merging is adding."""

import itertools
from bisect import bisect_left
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.errors import UsageError
from headway.metrics import Family, Log, MetricsRegistry, Sample, merge, read_samples
from headway.metrics.families import (
    BATCH_SIZE_ROWS,
    BUILD_INFO,
    QUEUE_ROWS,
    RECENT_BATCHES,
    REPLICA_BUSY_SECONDS,
    REQUEST_DURATION,
    REQUESTS,
)
from tests.metrics.samples import samples_of


@pytest.fixture(params=["file", "memory"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> MetricsRegistry:
    """Return a started registry of each kind."""
    made = MetricsRegistry(tmp_path / "a.bin" if request.param == "file" else None)
    made.start()
    return made


def test_counters_and_gauges(registry: MetricsRegistry) -> None:
    registry.counter(REQUESTS, ("a", "200")).add()
    registry.counter(REQUESTS, ("a", "200")).add(4)
    registry.gauge(QUEUE_ROWS, ("iris",)).set(9)
    registry.gauge(QUEUE_ROWS, ("iris",)).set(-1)
    values = {(s.family.name, s.labels): s.value for s in samples_of(registry)}
    assert values == {
        (REQUESTS.name, ("a", "200")): 5,
        (QUEUE_ROWS.name, ("iris",)): -1,
    }


def test_the_same_series_is_the_same_handle(registry: MetricsRegistry) -> None:
    first = registry.counter(REQUESTS, ("a", "200"))
    assert registry.counter(REQUESTS, ("a", "200")) is first
    gauge = registry.gauge(QUEUE_ROWS, ("iris",))
    assert registry.gauge(QUEUE_ROWS, ("iris",)) is gauge
    histogram = registry.histogram(REQUEST_DURATION, ("a",))
    assert registry.histogram(REQUEST_DURATION, ("a",)) is histogram


def test_seconds_are_kept_as_nanoseconds(registry: MetricsRegistry) -> None:
    registry.counter(REPLICA_BUSY_SECONDS, ("iris", "0")).add(1_500_000_000)
    assert [sample.value for sample in samples_of(registry)] == [1.5]


@given(counts=st.lists(st.integers(0, 150), max_size=4))
def test_a_log_keeps_the_last_events(counts: list[int]) -> None:
    registry = MetricsRegistry()
    registry.start()
    log = registry.log(RECENT_BATCHES, ("iris", "predict"))
    assert registry.log(RECENT_BATCHES, ("iris", "predict")) is log
    done = 0
    for count in counts:
        for number in range(done, done + count):
            log.add(number, -number)
        [sample] = samples_of(registry)
        first = max(done, done + count - 64)
        assert Log.events(sample.cells, done) == [
            (number, -number) for number in range(first, done + count)
        ]
        done += count


def test_bounds_are_inclusive(registry: MetricsRegistry) -> None:
    histogram = registry.histogram(BATCH_SIZE_ROWS, ("iris", "predict"))
    for rows in (1, 2, 3, 4, 1024, 1025):
        histogram.observe(rows)
    [sample] = samples_of(registry)
    assert sample.cumulative == [1, 2, 4, 4, 4, 4, 4, 4, 4, 4, 5, 6]
    assert sample.sum == 2059.0


@settings(deadline=None)
@given(values=st.lists(st.floats(0, 1e6), max_size=50))
def test_a_histogram_counts_each_observation(values: list[float]) -> None:
    registry = MetricsRegistry()
    registry.start()
    histogram = registry.histogram(REQUEST_DURATION, ("a",))
    for value in values:
        histogram.observe(value)
    [sample] = samples_of(registry)
    bounds = [*REQUEST_DURATION.bounds, float("inf")]
    assert sample.cumulative == [sum(v <= bound for v in values) for bound in bounds]
    assert sample.sum == pytest.approx(sum(values), abs=1e-9 * (len(values) + 1))


@pytest.mark.parametrize(
    ("family", "labels", "message"),
    [
        (REQUESTS, ("a",), "has the labels"),
        (REQUESTS, (), "has the labels"),
        (QUEUE_ROWS, ("a",), "is a gauge, not a counter"),
    ],
)
def test_misuse_is_an_error(
    registry: MetricsRegistry, family: Family, labels: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        registry.counter(family, labels)


def test_handles_are_created_between_start_and_close(registry: MetricsRegistry) -> None:
    with pytest.raises(UsageError, match="not started"):
        MetricsRegistry().counter(REQUESTS, ("a", "200"))
    counter = registry.counter(REQUESTS, ("a", "200"))
    registry.close()
    counter.add()  # harmless
    with pytest.raises(UsageError, match="not started"):
        registry.counter(REQUESTS, ("b", "200"))


def test_build_info_stays_1_over_all_processes(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.bin" for number in range(3)]
    for path in paths:
        registry = MetricsRegistry(path)
        registry.start()
        registry.gauge(BUILD_INFO, ("1.0", "3.11")).set(1)
    assert [sample.value for sample in read_samples(paths)] == [1]


def test_other_buckets_after_a_restart_keep_the_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    for bounds in ((0.01, 0.1, 1.0), (0.05, 0.5)):
        registry = MetricsRegistry(path)
        registry.start()
        family = REQUEST_DURATION.with_bounds(bounds)
        histogram = registry.histogram(family, ("a",))
        for seconds in (0.01, 0.1, 0.7, 5):
            histogram.observe(seconds)
    [sample] = read_samples([path])
    assert sample.family.bounds == (0.05, 0.5)
    # The first process's 0.1 lies at most at 0.5; its 0.7, at most 1, lies above.
    assert sample.cumulative == [2, 4, 8]
    assert sample.sum == pytest.approx(2 * 5.81)


series = st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["200", "500"]))
events = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.one_of(
            st.tuples(st.just("counter"), series, st.integers(0, 2**40)),
            st.tuples(st.just("gauge"), series, st.integers(-100, 100)),
            st.tuples(st.just("histogram"), series, st.integers(0, 5000)),
        ),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=50)  # it writes files
@given(events=events)
def test_counts_of_processes_add_up(
    events: list[tuple[int, tuple[str, tuple[str, str], int]]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("metrics")
    paths = [folder / f"{number}.bin" for number in range(3)]
    registries = [MetricsRegistry(path) for path in paths]
    for registry in registries:
        registry.start()
    bounds = BATCH_SIZE_ROWS.bounds
    gauge = Family(name="g", help="G.", kind="gauge", labels=("x", "y"))
    expected: dict[tuple[str, tuple[str, str]], list[int]] = {}
    last: dict[tuple[int, tuple[str, str]], int] = {}
    for process, (kind, labels, number) in events:
        registry = registries[process]
        if kind == "counter":
            registry.counter(REQUESTS, labels).add(number)
            expected.setdefault((REQUESTS.name, labels), [0])[0] += number
        elif kind == "gauge":
            registry.gauge(gauge, labels).set(number)
            last[process, labels] = number
        else:
            registry.histogram(BATCH_SIZE_ROWS, labels).observe(number)
            cells = expected.setdefault(
                (BATCH_SIZE_ROWS.name, labels), [0] * (len(bounds) + 2)
            )
            cells[bisect_left(bounds, number)] += 1
            cells[-1] += number
    for (_, labels), number in last.items():
        expected.setdefault((gauge.name, labels), [0])[0] += number
    in_files = read_samples(paths)
    assert {(s.family.name, s.labels): list(s.cells) for s in in_files} == expected
    in_memory = merge(
        itertools.chain(*(samples_of(registry) for registry in registries))
    )
    assert in_memory == in_files


def test_families_of_one_name_and_two_kinds_are_not_mixed() -> None:
    counter = Sample(Family(name="x", help="", kind="counter"), (), (1,))
    gauge = Sample(Family(name="x", help="", kind="gauge"), (), (2,))
    assert merge([counter, gauge]) == [counter]


@settings(deadline=None)
@given(values=st.lists(st.floats(0, 1e6), max_size=50), spread=st.floats(0, 1e-4))
def test_several_observations_count_like_each(
    values: list[float], spread: float
) -> None:
    values = [value + step * spread for value in values for step in range(3)]
    registry = MetricsRegistry(None)
    registry.start()
    try:
        each = registry.histogram(REQUEST_DURATION, ("each",))
        for value in values:
            each.observe(value)
        registry.histogram(REQUEST_DURATION, ("all",)).observe_all(values)
        one, other = (
            next(sample for sample in samples_of(registry) if sample.labels == (label,))
            for label in ("each", "all")
        )
        assert one.cumulative == other.cumulative
        assert other.sum == pytest.approx(one.sum, abs=1e-5 * (len(values) + 1))
    finally:
        registry.close()
