"""Traffic comes as it is described."""

import itertools
from random import Random

import pytest
from benchmarks.simulation.arrivals import (
    Bursty,
    Crowd,
    Curve,
    OnOff,
    OpenLoop,
    Poisson,
    Traffic,
)
from benchmarks.simulation.sender import Sender


def times(arrivals: OpenLoop, seconds: float) -> list[float]:
    """Return the arrivals of some seconds after 100."""
    every = arrivals.times(100.0, Random(3))
    return list(itertools.takewhile(lambda when: when < 100.0 + seconds, every))


@pytest.mark.parametrize(
    ("arrivals", "rate"),
    [
        pytest.param(Poisson(rate=500.0), 500.0, id="poisson"),
        pytest.param(Bursty(rates=(100.0, 900.0), stay_s=0.01), 500.0, id="bursty"),
        pytest.param(OnOff(rate=1000.0, on_s=0.02, off_s=0.02), 500.0, id="onoff"),
        pytest.param(Curve(rates=(200.0, 800.0), period_s=1.0), 500.0, id="curve"),
    ],
)
def test_rate_is_as_described(arrivals: OpenLoop, rate: float) -> None:
    came = times(arrivals, 100.0)
    assert came == sorted(came)
    # 50,000 arrivals; the bursts make it off by 1.3% more (5,000 sojourns of each).
    assert len(came) / 100.0 == pytest.approx(rate, rel=0.05)


def test_bursts_come_in_clusters() -> None:
    """The variance of counts exceeds that of a Poisson process, which is the mean."""
    came = times(Bursty(rates=(100.0, 1900.0), stay_s=0.1), 100.0)
    counts = [0] * 1000
    for when in came:
        counts[int((when - 100.0) * 10)] += 1
    mean = sum(counts) / len(counts)
    variance = sum((count - mean) ** 2 for count in counts) / len(counts)
    assert variance > 10 * mean


def test_nothing_comes_in_the_pauses() -> None:
    came = times(OnOff(rate=1000.0, on_s=0.02, off_s=0.03), 10.0)
    assert all((when - 100.0) % 0.05 <= 0.02 + 1e-9 for when in came)


def test_a_curve_goes_in_straight_lines() -> None:
    came = times(Curve(rates=(0.0, 1000.0), period_s=2.0), 200.0)
    quarters = [0] * 4
    for when in came:
        quarters[int((when - 100.0) % 2.0 * 2)] += 1
    # Up from 0 to 1000 and down again: the inner quarters have 3 times the outer ones.
    assert quarters[1] / quarters[0] == pytest.approx(3, rel=0.1)
    assert quarters[2] / quarters[3] == pytest.approx(3, rel=0.1)


def send(traffic: Traffic, end_s: float = 10.0) -> Sender:
    return Sender(index=2, traffic=traffic, end_s=end_s, deadline_s=0.5, seed=1)


def test_traffic_keeps_to_its_time() -> None:
    sender = send(Traffic(arrivals=Poisson(rate=100.0), begin_s=2.0, end_s=3.0))
    (when,) = sender.first()
    came = [when]
    while (following := sender.following()) is not None:
        came.append(following)
    assert came[0] > 2.0
    assert came[-1] < 3.0
    assert 60 < len(came) < 140


def test_clients_come_back_after_their_answer() -> None:
    crowd = Crowd(clients=5, turnaround_s=(0.1, 0.2), backoff_s=1.0)
    sender = send(Traffic(arrivals=crowd, begin_s=1.0))
    first = sender.first()
    assert len(first) == 5
    assert all(1.1 <= when <= 1.2 for when in first)
    assert sender.following() is None
    served = sender.again(2.0, served=True)
    refused = sender.again(2.0, served=False)
    assert served is not None
    assert refused is not None
    assert 2.1 <= served <= 2.2
    assert 3.1 <= refused <= 3.2
    assert sender.again(9.95, served=True) is None


def test_requests_are_made_as_described() -> None:
    traffic = Traffic(arrivals=Poisson(rate=1.0), sizes=(1, 4), priority=7)
    sender = send(traffic)
    made = [sender.make(3.0) for _ in range(100)]
    assert {request.rows for request in made} == {1, 4}
    assert {(request.arrived_at, request.due) for request in made} == {(3.0, 3.5)}
    assert {(request.priority, request.sender) for request in made} == {(7, 2)}
