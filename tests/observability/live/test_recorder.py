"""The recorder writes the figures of each second."""

import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headway.core.run_dir import RunDir
from headway.metrics import MetricsRegistry, zero_gauges
from headway.metrics.families import (
    BATCH_COST_SECONDS,
    BATCH_SIZE_ROWS,
    INFERENCE_SECONDS,
    PROCESS_RESTARTS,
    QUEUE_ROWS,
    RECENT_BATCHES,
    REFUSED,
    REPLICA_BUSY,
    REPLICA_BUSY_SECONDS,
    REPLICA_UP,
    REQUEST_DURATION,
    REQUESTS,
    REQUESTS_IN_PROGRESS,
    RUNNER_ROWS,
)
from headway.observability.live.history import read_history
from headway.observability.live.recorder import Recorder


class Recording:
    """Two processes with counters, and a recorder whose clock the test sets."""

    def __init__(self, folder: Path) -> None:
        self.time = 100.0
        self.history = folder / "history"
        self.metrics_dir = folder / "metrics"
        self.metrics_dir.mkdir()
        self.api = self.registry("api-0")
        self.runner = self.registry("runner-iris")
        self.recorder = Recorder(
            run_dir=RunDir(path=folder),
            runners=["iris", "idle"],
            clock=self,
        )

    def now(self) -> float:
        return self.time

    def registry(self, process: str) -> MetricsRegistry:
        made = MetricsRegistry(self.metrics_dir / f"{process}.bin")
        made.start()
        return made

    def second(self, seconds: float = 1.0) -> dict[str, Any]:
        """Advance the time and return the recorded second."""
        self.time += seconds
        self.recorder.record()
        second: dict[str, Any] = msgspec.json.decode(
            read_history(self.history, 0).seconds[-1]
        )
        return second

    def totals(self) -> dict[str, Any]:
        totals: dict[str, Any] = msgspec.json.decode(
            read_history(self.history, 0).totals
        )
        return totals


@pytest.fixture
async def recording(tmp_path: Path) -> AsyncIterator[Recording]:
    made = Recording(tmp_path)
    made.recorder.start()
    yield made
    await made.recorder.aclose()


async def test_idle_second(recording: Recording) -> None:
    second = recording.second()
    assert second["number"] == 1
    assert second["time"] == pytest.approx(time.time(), abs=60)
    assert second["answered"] == second["refused"] == {}
    assert second["latency_ms"] is None
    assert [runner["batches"] for runner in second["runners"]] == [0, 0]
    assert recording.totals()["answered"] == []


async def test_requests_per_second(recording: Recording) -> None:
    other = recording.registry("api-1")
    for registry, code, times in (
        (recording.api, "200", 6),
        (other, "200", 2),
        (other, "503", 4),
    ):
        registry.counter(REQUESTS, ("/classify", code)).add(times)
    for _ in range(10):
        recording.api.histogram(REQUEST_DURATION, ("/classify",)).observe(0.004)
    recording.api.counter(REFUSED, ("expired",)).add(3)
    recording.api.gauge(REQUESTS_IN_PROGRESS, ("/classify",)).set(5)
    second = recording.second(2.0)
    assert second["answered"] == {"200": 4, "503": 2}
    assert second["refused"] == {"expired": 1.5}
    assert second["in_progress"] == 5
    mean, p50, p90, p99 = second["latency_ms"]
    assert mean == pytest.approx(4.0)
    assert 3.0 < p50 < p90 < p99 <= 5.0
    after = recording.second()
    assert after["answered"] == {"200": 0, "503": 0}
    assert after["latency_ms"] is None
    totals = recording.totals()
    assert totals["answered"] == [["/classify", "200", 8], ["/classify", "503", 4]]
    assert totals["refused"] == {"expired": 3}


async def test_batches_of_a_runner(recording: Recording) -> None:
    labels = ("iris", "predict")
    for rows in (1, 3, 4, 100):
        recording.runner.histogram(BATCH_SIZE_ROWS, labels).observe(rows)
        recording.runner.histogram(INFERENCE_SECONDS, labels).observe(0.02)
        recording.runner.counter(RUNNER_ROWS, labels).add(rows)
        recording.runner.log(RECENT_BATCHES, labels).add(rows, 20_000_000)
    recording.runner.gauge(QUEUE_ROWS, ("iris",)).set(9)
    iris, idle = recording.second()["runners"]
    assert iris["batches"] == 4
    assert iris["rows"] == 108
    assert iris["sizes"] == [1, 0, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert iris["queue"] == 9
    assert iris["compute_ms"][0] == 20
    assert iris["recent"] == {"predict": [[1, 20], [3, 20], [4, 20], [100, 20]]}
    assert idle["sizes"] == [0] * 12
    assert idle["recent"] == {}
    assert recording.second()["runners"][0]["recent"] == {}
    assert recording.totals()["runners"][0]["rows"] == 108


async def test_some_of_many_batches_are_kept(recording: Recording) -> None:
    log = recording.runner.log(RECENT_BATCHES, ("iris", "predict"))
    for number in range(1000):
        log.add(number, 1_000_000)
    recent = recording.second()["runners"][0]["recent"]["predict"]
    assert recent == [[936, 1], [952, 1], [968, 1], [984, 1]]


async def test_replica_states(recording: Recording) -> None:
    for number in ("0", "1"):
        recording.runner.gauge(REPLICA_UP, ("iris", number)).set(1)
        recording.runner.counter(REPLICA_BUSY_SECONDS, ("iris", number)).add(0)
    recording.second()
    recording.runner.counter(REPLICA_BUSY_SECONDS, ("iris", "0")).add(250_000_000)
    # Replica 1 is in a long batch, which is not counted yet.
    recording.runner.gauge(REPLICA_BUSY, ("iris", "1")).set(1)
    supervisor = recording.registry("supervisor")
    supervisor.counter(PROCESS_RESTARTS, ("replica-iris-1",)).add(2)
    assert recording.second()["runners"][0]["busy"] == [0.25, 1.0]
    replicas = recording.totals()["runners"][0]["replicas"]
    assert replicas == [
        {"number": "0", "is_up": True, "is_busy": False, "restarts": 0},
        {"number": "1", "is_up": True, "is_busy": True, "restarts": 2},
    ]
    zero_gauges(recording.metrics_dir / "runner-iris.bin")
    recording.second()
    replicas = recording.totals()["runners"][0]["replicas"]
    assert [replica["is_up"] for replica in replicas] == [False, False]
    assert recording.totals()["restarts"] == {"replica-iris-1": 2}


async def test_learned_costs(recording: Recording) -> None:
    for rows, mean, tail in (
        (1, 2_000_000, 3_000_000),
        (16, 0, 0),
        (2, 4_000_000, 5_000_000),
    ):
        labels = ("iris", "predict", str(rows))
        recording.runner.gauge(BATCH_COST_SECONDS, (*labels, "mean")).set(mean)
        recording.runner.gauge(BATCH_COST_SECONDS, (*labels, "tail")).set(tail)
    recording.second()
    iris, idle = recording.totals()["runners"]
    assert iris["costs"] == {"predict": [[1, 2, 3], [2, 4, 5]]}
    assert idle["costs"] == {}


async def test_most_frequent_answers_are_kept(recording: Recording) -> None:
    for number in range(300):
        recording.api.counter(REQUESTS, (f"/endpoint/{number:04}", "200")).add(number)
    recording.second()
    answered = recording.totals()["answered"]
    assert [entry[2] for entry in answered] == list(range(100, 300))


async def test_failed_write_is_logged_once(
    recording: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    recording.second()
    recording.api.counter(REFUSED, ("x" * 40_000,)).add()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            recording.time += 1
            recording.recorder.record()
    assert len(caplog.records) == 1
    assert "the live page misses a second" in caplog.text
    assert read_history(recording.history, 0).newest == 1
