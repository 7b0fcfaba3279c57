"""What was counted outlives SIGKILL, and a restarted process goes on from there."""

import signal
import subprocess
import sys
from pathlib import Path

from headway.metrics import MetricsRegistry, Sample, read_samples, zero_gauges
from headway.metrics.families import BATCH_SIZE_ROWS, REQUESTS, REQUESTS_IN_PROGRESS


def count_until_killed(path: Path) -> None:
    """Run a process that counts, and kill it while it does."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.metrics.counting_process", str(path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"counted\n"
        during = value_of(path, REQUESTS.name, ("classify", "200")).value
        assert during >= 1000  # a reader sees them while the writer goes on
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL


def value_of(path: Path, name: str, labels: tuple[str, ...]) -> Sample:
    """Return one series of a metrics file."""
    [sample] = [
        sample
        for sample in read_samples([path])
        if (sample.family.name, sample.labels) == (name, labels)
    ]
    return sample


def test_counts_outlive_a_killed_process_and_go_on(tmp_path: Path) -> None:
    path = tmp_path / "metrics" / "api-0.bin"
    count_until_killed(path)
    first = value_of(path, REQUESTS.name, ("classify", "200")).value
    rows = value_of(path, BATCH_SIZE_ROWS.name, ("iris", "predict"))
    assert first >= 1000
    assert rows.cumulative[-1] >= first - 1
    assert value_of(path, REQUESTS_IN_PROGRESS.name, ("classify",)).value == 7

    count_until_killed(path)
    second = value_of(path, REQUESTS.name, ("classify", "200")).value
    assert second >= first + 1000

    registry = MetricsRegistry(path)
    registry.start()
    registry.counter(REQUESTS, ("classify", "200")).add(5)
    assert value_of(path, REQUESTS.name, ("classify", "200")).value == second + 5
    assert value_of(path, REQUESTS_IN_PROGRESS.name, ("classify",)).value == 0


def test_the_supervisor_zeroes_a_dead_processs_gauges(tmp_path: Path) -> None:
    path = tmp_path / "api-0.bin"
    count_until_killed(path)
    before = value_of(path, REQUESTS.name, ("classify", "200"))
    zero_gauges(path)
    assert value_of(path, REQUESTS_IN_PROGRESS.name, ("classify",)).value == 0
    assert value_of(path, REQUESTS.name, ("classify", "200")) == before
    zero_gauges(tmp_path / "absent.bin")
