"""Arrival processes: rates, bursts and traces."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import TrafficError
from headway.tools.load.arrivals import (
    Arrivals,
    Bursts,
    Constant,
    Poisson,
    Trace,
)

rates = st.floats(0.01, 1e5)


def first(arrivals: Arrivals, count: int) -> list[float]:
    return list(islice(arrivals.times(), count))


@given(rates, st.integers(1, 50))
def test_schedules_ascend_and_keep_their_rate(per_s: float, size: int) -> None:
    for arrivals in (Constant(per_s), Bursts(per_s, size), Poisson(per_s, seed=3)):
        times = first(arrivals, 3000)
        assert times == sorted(times)
        assert times[0] >= 0
        assert len(times) / times[-1] == pytest.approx(per_s, rel=0.1)


def test_poisson_is_memoryless_and_differs_between_users() -> None:
    gaps = np.diff(first(Poisson(100, seed=1), 20_000))
    assert np.std(gaps) == pytest.approx(np.mean(gaps), rel=0.05)
    assert first(Poisson(100, seed=1), 5) == first(Poisson(100, seed=1), 5)
    assert first(Poisson(100), 5) != first(Poisson(100), 5)


def test_burst_is_due_at_one_time() -> None:
    assert first(Bursts(10, 3), 7) == [0, 0, 0, 0.3, 0.3, 0.3, 0.6]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0.1, 10))
def test_trace_is_replayed_from_its_first_time(
    times: list[float], speed: float
) -> None:
    replayed = list(Trace(times, speed=speed).times())
    assert len(replayed) == len(times)
    assert replayed[0] == 0
    assert replayed == sorted(replayed)
    assert replayed[-1] * speed == pytest.approx(max(times) - min(times))


def test_trace_is_read_from_a_log(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    file.write_text("100.5 GET /\n\n101.0,200\n100.75\n")
    assert list(Trace(file).times()) == [0, 0.25, 0.5]
    assert list(Trace(str(file), speed=0.5).times()) == [0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("1.0\nnoon\n", "line 2: 'noon' is not a time in seconds"),
        ("nan\n", "line 1: 'nan' is not a time"),
        ("\n", "without any time"),
    ],
)
def test_malformed_trace_is_refused(tmp_path: Path, content: str, line: str) -> None:
    file = tmp_path / "trace"
    file.write_text(content)
    with pytest.raises(TrafficError, match=line):
        Trace(file)


def test_missing_trace_is_refused() -> None:
    with pytest.raises(TrafficError, match="the trace nowhere cannot be read"):
        Trace("nowhere")


def test_impossible_schedules_are_refused() -> None:
    for per_s in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(TrafficError, match="is not a rate: write a number above 0"):
            Constant(per_s)
    with pytest.raises(TrafficError, match="a burst of 0 requests"):
        Bursts(1, 0)
    with pytest.raises(TrafficError, match="at 0 times its speed"):
        Trace([1.0], speed=0)
