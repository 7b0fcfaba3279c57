"""The simulator loses nothing, repeats itself, and agrees with queueing theory."""

import math

import pytest
from benchmarks.simulation.arrivals import Bursty, Crowd, OnOff, Poisson
from benchmarks.simulation.case import Case, simulate
from benchmarks.simulation.contenders import CONTENDERS
from benchmarks.simulation.fixed_window import FixedWindow
from benchmarks.simulation.meter import Meter
from benchmarks.simulation.outcome import run
from benchmarks.simulation.policy import Policy
from benchmarks.simulation.request import Batch, Request
from benchmarks.simulation.service import (
    Affine,
    Drifting,
    HeavyTailed,
    Stalling,
    Stepwise,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.scheduling.scheduler import Wait
from tests.simulation.cases import CONSTANT, SMALL, Service, make_case


class Ledger(Meter):
    """A meter that notes the fate of each request."""

    def __init__(self) -> None:
        super().__init__(begin_s=0.0, end_s=math.inf)
        self.came: list[Request] = []
        self.over: list[Request] = []

    def offer(self, request: Request) -> None:
        self.came.append(request)
        super().offer(request)

    def answer(self, request: Request, now: float) -> None:
        assert now > request.arrived_at
        self.over.append(request)
        super().answer(request, now)

    def refuse(self, request: Request) -> None:
        self.over.append(request)
        super().refuse(request)

    def drop(self, request: Request) -> None:
        self.over.append(request)
        super().drop(request)


ARRIVALS = st.one_of(
    st.builds(Poisson, rate=st.sampled_from([50.0, 2000.0, 20_000.0])),
    st.builds(
        Bursty, rates=st.just((100.0, 5000.0)), stay_s=st.sampled_from([1e-3, 0.05])
    ),
    st.builds(OnOff, rate=st.just(5000.0), on_s=st.just(0.01), off_s=st.just(0.02)),
    st.builds(
        Crowd,
        clients=st.integers(1, 80),
        turnaround_s=st.sampled_from([(0.0, 0.0), (1e-4, 1e-3), (1e-3, 1e-3)]),
        think_s=st.sampled_from([0.0, 0.01]),
        backoff_s=st.sampled_from([1e-3, 0.1]),
    ),
)
SERVICES: st.SearchStrategy[Service] = st.sampled_from(
    [
        SMALL,
        CONSTANT,
        Stepwise(base_s=1e-3, step_s=2e-3, step_rows=8),
        HeavyTailed(of=SMALL, sigma=0.5),
        Stalling(of=CONSTANT, share=0.1, factor=10.0),
        Drifting(of=SMALL, factor=4.0, begin_s=0.05, end_s=0.1),
    ]
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    return make_case(
        *draw(st.lists(ARRIVALS, min_size=1, max_size=2)),
        service=draw(SERVICES),
        max_rows=draw(st.sampled_from([8, 16, 100])),
        seconds=0.15,
        replicas=draw(st.sampled_from([1, 2, 4, 64])),
        deadline_s=draw(st.sampled_from([3e-3, 0.02, 1.0, math.inf])),
        sizes=draw(st.sampled_from([(1,), (1, 2, 7)])),
        seed=draw(st.integers(0, 1000)),
    )


@pytest.mark.parametrize("policy", CONTENDERS)
@given(case=cases())
@settings(max_examples=25, deadline=None)
def test_each_request_is_over_exactly_once(policy: str, case: Case) -> None:
    ledger = Ledger()
    simulate(case, CONTENDERS[policy](case), ledger)
    assert len(ledger.over) == len({id(request) for request in ledger.over})
    assert {id(request) for request in ledger.over} == {
        id(request) for request in ledger.came
    }


@pytest.mark.parametrize("policy", CONTENDERS)
def test_the_same_seed_gives_the_same_outcome(policy: str) -> None:
    service = HeavyTailed(of=SMALL, sigma=0.4)
    mixture = (Poisson(rate=2000.0), Crowd(clients=16))
    case = make_case(*mixture, service=service)
    assert run(case, policy) == run(case, policy)
    other = make_case(*mixture, service=service, seed=2)
    assert run(case, policy) != run(other, policy)


def test_arrivals_of_an_open_loop_do_not_depend_on_the_policy() -> None:
    case = make_case(Bursty(rates=(500.0, 9000.0), stay_s=0.02))
    times = set()
    for policy in CONTENDERS.values():
        ledger = Ledger()
        simulate(case, policy(case), ledger)
        times.add(tuple(request.arrived_at for request in ledger.came))
    assert len(times) == 1


@pytest.mark.parametrize("load", [0.3, 0.7])
@pytest.mark.parametrize(
    ("service", "variation"),
    [
        pytest.param(CONSTANT, 0.0, id="constant"),
        # Of a lognormal, the squared coefficient of variation is exp(sigma^2) - 1.
        pytest.param(
            HeavyTailed(of=CONSTANT, sigma=0.5), math.expm1(0.25), id="lognormal"
        ),
        pytest.param(
            Stalling(of=CONSTANT, share=0.05, factor=5.0),
            (0.95 + 0.05 * 25) / 1.2**2 - 1,
            id="stalling",
        ),
    ],
)
def test_single_rows_wait_as_pollaczek_and_khinchine_say(
    load: float, service: Affine | HeavyTailed | Stalling, variation: float
) -> None:
    mean_s = service.mean_s(1)
    rate = load / mean_s
    case = make_case(
        Poisson(rate=rate), service=service, max_rows=1, seconds=200_000 / rate
    )
    outcome = run(case, "never-wait")
    wait_s = load * mean_s * (1 + variation) / (2 * (1 - load))
    expected_ms = 1e3 * (mean_s + wait_s)
    assert outcome.mean_ms is not None
    assert outcome.error_ms is not None
    assert outcome.error_ms < 0.02 * expected_ms
    # By chance, four standard errors are exceeded once in 10,000 seeds.
    assert outcome.mean_ms == pytest.approx(expected_ms, abs=4 * outcome.error_ms)


@pytest.mark.parametrize("policy", CONTENDERS)
@pytest.mark.parametrize("replicas", [1, 4])
def test_a_closed_loop_obeys_littles_law(policy: str, replicas: int) -> None:
    clients, pause_s = 40, (0.1e-3 + 1.0e-3) / 2 + 2e-3
    case = make_case(
        Crowd(clients=clients, think_s=2e-3), seconds=5.0, replicas=replicas
    )
    outcome = run(case, policy)
    assert outcome.mean_ms is not None
    inside = outcome.goodput * (outcome.mean_ms / 1e3 + pause_s)
    # Off by the start, when nobody was answered, and by the sampling of the pauses.
    assert inside == pytest.approx(clients, rel=0.02)


def test_what_comes_at_the_same_time_is_decided_on_together() -> None:
    crowd = Crowd(clients=10, turnaround_s=(1e-3, 1e-3))
    case = make_case(crowd, service=CONSTANT)
    outcome = run(case, "never-wait")
    assert outcome.batch_rows == 10


def test_time_held_is_that_of_an_idle_replica() -> None:
    crowd = Crowd(clients=1, turnaround_s=(1e-3, 1e-3))
    case = make_case(crowd, service=CONSTANT)
    assert run(case, "never-wait").held_ms == 0
    assert run(case, "window-5ms").held_ms == pytest.approx(5.0, rel=0.01)


class Keeper(FixedWindow):
    """Never gives anything back."""

    def schedule(self, now: float) -> None:
        return None


class Laggard(FixedWindow):
    """Waits for a time that is past."""

    def schedule(self, now: float) -> Batch | Wait | None:
        return Wait(now)


@pytest.mark.parametrize(
    ("kind", "message"), [(Keeper, "without an answer"), (Laggard, "what is past")]
)
def test_a_broken_policy_is_found_out(kind: type[FixedWindow], message: str) -> None:
    policy: Policy = kind(max_rows=8, replicas=1, window_s=0.0)
    with pytest.raises(RuntimeError, match=message):
        simulate(make_case(Poisson(rate=100.0)), policy)
