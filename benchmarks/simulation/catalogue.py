"""The cases: what is offered to which model."""

from benchmarks.simulation.arrivals import Crowd, Poisson, Traffic
from benchmarks.simulation.case import Case, best_rate
from benchmarks.simulation.service import Affine

__all__ = ["CASES"]

FOREST = Affine(base_s=4.3e-3, row_s=2e-6)
SMALL = Affine(base_s=1e-3, row_s=0.1e-3)


def _poisson(name: str, service: Affine, max_rows: int, load: float) -> Case:
    rate = load * best_rate(service, max_rows)
    return Case(
        name=f"poisson/{name}/{load:g}",
        family="poisson",
        service=service,
        traffic=(Traffic(arrivals=Poisson(rate=rate)),),
        max_rows=max_rows,
        seconds=100_000 / rate,
        warm_up_s=10_000 / rate,
    )


def _closed(name: str, service: Affine, max_rows: int, clients: int) -> Case:
    cycle_s = 1e-3 + service.mean_s(min(clients, max_rows))
    seconds = 1500 * max(cycle_s, clients / best_rate(service, max_rows))
    return Case(
        name=f"closed/{name}/{clients}",
        family="closed",
        service=service,
        traffic=(Traffic(arrivals=Crowd(clients=clients)),),
        max_rows=max_rows,
        seconds=seconds,
        warm_up_s=seconds / 10,
    )


CASES = {
    case.name: case
    for case in [
        *(
            _poisson("forest", FOREST, 100, load)
            for load in (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
        ),
        *(
            _poisson("small", SMALL, 32, load)
            for load in (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
        ),
        *(
            _closed("forest", FOREST, 100, clients)
            for clients in (1, 2, 4, 8, 16, 32, 64, 100, 128, 256, 512)
        ),
        *(
            _closed("small", SMALL, 32, clients)
            for clients in (1, 2, 4, 8, 16, 32, 64, 128)
        ),
    ]
}
