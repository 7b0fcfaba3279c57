"""The server's figures of a time span, read from /metrics."""

import pytest

from headway.tools.load.server_watch import (
    ServerSample,
    between,
    per_second,
    read_sample,
)

EXPOSITION = """\
# HELP headway_requests_total Requests answered, by endpoint and status code.
# TYPE headway_requests_total counter
headway_requests_total{endpoint="/ask",code="200"} 7.0
headway_requests_total{endpoint="/ask",code="503"} 3.0
headway_runner_batch_size_rows_bucket{runner="model",method="work",le="1.0"} 2.0
headway_runner_batch_size_rows_sum{runner="model",method="work"} 12.0
headway_runner_batch_size_rows_count{runner="model",method="work"} 4.0
headway_replica_up{runner="model",replica="0"} 1.0
headway_replica_busy_seconds_total{runner="model",replica="0"} 1.5
some_other_metric 5
"""


def sample(at: float, requests: float, batches: float, rows: float) -> ServerSample:
    return ServerSample(
        at=at,
        requests=requests,
        refused=0,
        batches=batches,
        rows=rows,
        queue_wait_s=requests * 0.002,
        calls=requests,
        busy_s=at / 2,
        replicas=1,
        queue_rows=3,
        in_progress=4,
    )


def test_sample_sums_over_labels() -> None:
    found = read_sample(EXPOSITION, 9.0)
    assert found is not None
    assert (found.requests, found.rows, found.batches) == (10, 12, 4)
    assert (found.replicas, found.busy_s, found.refused) == (1, 1.5, 0)


@pytest.mark.parametrize("text", ["", "<html>", "go_goroutines 5\n"])
def test_text_without_headway_metrics_has_no_sample(text: str) -> None:
    assert read_sample(text, 0.0) is None


def test_figures_of_a_time_span() -> None:
    samples = [sample(100.0 + i, 10.0 * i, 5.0 * i, 20.0 * i) for i in range(6)]
    figures = between(samples, 100.5, 104.5, zero=100.0)
    assert figures is not None
    assert figures.at_s == 4.0
    assert figures.rps == 10.0
    assert figures.mean_batch_rows == 4.0
    assert figures.queue_wait_ms == pytest.approx(2.0)
    assert figures.busy == 0.5
    assert between(samples, 100.5, 101.5, zero=100.0) is None


def test_seconds_skip_samples_that_follow_too_soon() -> None:
    samples = [sample(at, at * 10, 0, 0) for at in (0.0, 1.0, 1.1, 2.0)]
    found = per_second(samples, zero=0.0)
    assert [figures.at_s for figures in found] == [1.0, 2.0]
    assert [figures.rps for figures in found] == [10.0, 10.0]
    assert [figures.mean_batch_rows for figures in found] == [None, None]
