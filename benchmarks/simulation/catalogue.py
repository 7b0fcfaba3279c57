"""The cases: who offers what to which model. A name is family/model/traffic."""

import math
from collections.abc import Iterator
from typing import Final

from benchmarks.simulation.arrivals import (
    Bursty,
    Crowd,
    Curve,
    OnOff,
    Poisson,
    Traffic,
)
from benchmarks.simulation.case import Case
from benchmarks.simulation.models import MODELS
from benchmarks.simulation.service import Drifting

__all__ = ["CASES", "LOADS"]

LOADS: Final = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
_DEADLINE_S: Final = 1.0
_WARM_UP_S: Final = 6.0
_OVERLOAD_WARM_UP_S: Final = 2.0
_CLOSED_S: Final = 3.0
_LEAST_S: Final = 10.0
"""Goodput is off by what is under way at both ends: this makes it little."""
_CHANGING_S: Final = 6.0
_DAY: Final = (
    *(2, 1.5, 1.2, 1, 1, 1.5, 3, 5, 8, 9, 9.5, 9),
    *(8.5, 9, 9.5, 10, 9.5, 9, 8, 7, 6, 5, 4, 3),
)
"""Rates by the hour, in tenths of the highest."""
_DAY_S: Final = 30.0
"""How fast a day is replayed."""


def _case(
    name: str,
    *traffic: Traffic,
    seconds: float,
    replicas: int = 1,
    deadline_s: float = _DEADLINE_S,
    warm_up_s: float = _WARM_UP_S,
    drift: Drifting | None = None,
) -> Case:
    family, model, _ = name.split("/")
    return Case(
        name=name,
        family=family,
        service=drift or MODELS[model].service,
        traffic=traffic,
        max_rows=MODELS[model].max_rows,
        seconds=seconds,
        replicas=replicas,
        deadline_s=deadline_s,
        warm_up_s=warm_up_s,
    )


def _poisson() -> Iterator[Case]:
    """Yield the cases that have a known optimum."""
    for model in ("forest", "small", "linear", "gpu", "uneven", "stalling"):
        for load in LOADS:
            rate = load * MODELS[model].rate
            requests = 200_000 if load >= 0.9 else 50_000
            if model in ("uneven", "stalling"):
                # The error of the mean is to be small beside the bound of 5%.
                requests = 2_000_000 if load >= 0.9 else 200_000
            yield _case(
                f"poisson/{model}/{load:g}",
                Traffic(arrivals=Poisson(rate=rate)),
                seconds=max(requests / rate, _LEAST_S),
                deadline_s=math.inf,
            )


def _closed() -> Iterator[Case]:
    for model in ("forest", "small", "linear", "gpu"):
        for clients in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 2000):
            yield _case(
                f"closed/{model}/{clients}",
                Traffic(arrivals=Crowd(clients=clients)),
                seconds=_CLOSED_S,
            )


def _thinking() -> Iterator[Case]:
    for model in ("forest", "gpu"):
        for think_ms in (5, 100):
            for clients in (1, 16, 128, 1000, 2000):
                crowd = Crowd(clients=clients, think_s=think_ms / 1e3)
                yield _case(
                    f"thinking/{model}/{clients}x{think_ms}ms",
                    Traffic(arrivals=crowd),
                    seconds=_CLOSED_S,
                )


def _uneven() -> Iterator[Case]:
    for model in ("forest", "small", "gpu"):
        rate = MODELS[model].rate
        for load in (0.3, 0.7):
            bursts = (load * rate * 0.3, load * rate * 1.7)
            yield _case(
                f"bursty/{model}/{load:g}",
                Traffic(arrivals=Bursty(rates=bursts, stay_s=0.1)),
                seconds=75_000 / (load * rate),
            )
        for on_ms, off_ms in ((20, 30), (300, 700)):
            on_off = OnOff(rate=0.9 * rate, on_s=on_ms / 1e3, off_s=off_ms / 1e3)
            yield _case(
                f"onoff/{model}/{on_ms}on{off_ms}off",
                Traffic(arrivals=on_off),
                seconds=75_000 / (0.4 * rate),
            )
        peaks = tuple(point * 0.095 * rate for point in _DAY)
        days = 7 if model == "forest" else 1
        yield _case(
            f"diurnal/{model}/{days}x{_DAY_S:g}s",
            Traffic(arrivals=Curve(rates=peaks, period_s=_DAY_S)),
            seconds=days * _DAY_S,
        )


def _mixed() -> Iterator[Case]:
    for model in ("forest", "small", "gpu"):
        rate = MODELS[model].rate
        for clients in (4, 16, 64):
            yield _case(
                f"mixed/{model}/poisson+{clients}",
                Traffic(arrivals=Poisson(rate=0.2 * rate)),
                Traffic(arrivals=Crowd(clients=clients)),
                seconds=_CLOSED_S,
            )
        yield _case(
            f"mixed/{model}/near+far",
            Traffic(arrivals=Crowd(clients=16)),
            Traffic(arrivals=Crowd(clients=16, turnaround_s=(5e-3, 10e-3))),
            seconds=_CLOSED_S,
        )
        yield _case(
            f"mixed/{model}/crowd+thinkers",
            Traffic(arrivals=Crowd(clients=16)),
            Traffic(arrivals=Crowd(clients=64, think_s=20e-3)),
            seconds=_CLOSED_S,
        )
        yield _case(
            f"mixed/{model}/1to16rows",
            Traffic(arrivals=Poisson(rate=0.5 * rate / 4), sizes=(1, 1, 2, 3, 1, 16)),
            seconds=_CLOSED_S * 2,
        )


def _changing() -> Iterator[Case]:
    for model in ("forest", "small", "gpu"):
        rate = MODELS[model].rate
        yield _case(
            f"changing/{model}/open-closed-open",
            Traffic(arrivals=Poisson(rate=0.5 * rate), end_s=8.0),
            Traffic(arrivals=Crowd(clients=16), begin_s=8.0, end_s=10.0),
            Traffic(arrivals=Poisson(rate=0.5 * rate), begin_s=10.0),
            seconds=_CHANGING_S,
        )
        yield _case(
            f"changing/{model}/4-64-16",
            Traffic(arrivals=Crowd(clients=4), end_s=8.0),
            Traffic(arrivals=Crowd(clients=64), begin_s=8.0, end_s=10.0),
            Traffic(arrivals=Crowd(clients=16), begin_s=10.0),
            seconds=_CHANGING_S,
        )
        yield _case(
            f"changing/{model}/0.2-0.9-0.2",
            Traffic(arrivals=Poisson(rate=0.2 * rate)),
            Traffic(arrivals=Poisson(rate=0.7 * rate), begin_s=8.0, end_s=10.0),
            seconds=_CHANGING_S,
        )
        drift = Drifting(of=MODELS[model].service, factor=4.0, begin_s=8.0, end_s=10.0)
        for name, arrivals in (
            ("poisson", Poisson(rate=0.2 * rate)),
            ("crowd", Crowd(clients=16)),
        ):
            yield _case(
                f"drifting/{model}/{name}",
                Traffic(arrivals=arrivals),
                seconds=_CHANGING_S,
                drift=drift,
            )


def _replicas() -> Iterator[Case]:
    for model, replicas in (("forest", 4), ("gpu", 4), ("large", 4), ("large", 64)):
        rate = replicas * MODELS[model].rate
        for load in (0.1, 0.5, 0.9):
            yield _case(
                f"replicas/{model}/{replicas}x{load:g}",
                Traffic(arrivals=Poisson(rate=load * rate)),
                seconds=75_000 / rate,
                replicas=replicas,
            )
        for each in (1, 8, 32):
            yield _case(
                f"replicas/{model}/{replicas}x{each}clients",
                Traffic(arrivals=Crowd(clients=each * replicas)),
                seconds=_CLOSED_S,
                replicas=replicas,
            )


def _overload() -> Iterator[Case]:
    for name, model in MODELS.items():
        longest_s = model.service.mean_s(model.max_rows)
        for times, batches in ((1.2, 4), (2, 4), (2, 50), (10, 4)):
            rate, deadline_s = times * model.rate, batches * longest_s
            yield _case(
                f"overload/{name}/{times:g}x{deadline_s * 1e3:.0f}ms",
                Traffic(arrivals=Poisson(rate=rate)),
                seconds=max(50_000 / rate, 4 * deadline_s),
                deadline_s=deadline_s,
                warm_up_s=max(_OVERLOAD_WARM_UP_S, 2 * deadline_s),
            )


def _tight() -> Iterator[Case]:
    """Yield the cases in which the deadline, not the model, bounds a batch."""
    for name, times in (("linear", 0.5), ("linear", 1.5), ("small", 1.5), ("gpu", 1.5)):
        model = MODELS[name]
        deadline_s = times * model.service.mean_s(model.max_rows)
        for load in (0.5, 0.8):
            yield _case(
                f"tight/{name}/{load:g}x{deadline_s * 1e3:.0f}ms",
                Traffic(arrivals=Poisson(rate=load * model.rate)),
                seconds=50_000 / model.rate,
                deadline_s=deadline_s,
            )


def _priority() -> Iterator[Case]:
    for model, deadlines_s in (("forest", (1.0,)), ("small", (1.0, 10.0))):
        rate = MODELS[model].rate
        for deadline_s in deadlines_s:
            yield _case(
                f"priority/{model}/10x{deadline_s:g}s",
                Traffic(arrivals=Poisson(rate=5 * rate), priority=0),
                Traffic(arrivals=Poisson(rate=5 * rate), priority=4),
                Traffic(arrivals=Poisson(rate=0.2 * rate), priority=9),
                seconds=2 * deadline_s,
                deadline_s=deadline_s,
                warm_up_s=deadline_s,
            )


CASES: Final = {
    case.name: case
    for family in (
        _poisson,
        _closed,
        _thinking,
        _uneven,
        _mixed,
        _changing,
        _replicas,
        _overload,
        _tight,
        _priority,
    )
    for case in family()
}
