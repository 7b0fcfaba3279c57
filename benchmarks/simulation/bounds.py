"""What is possible at all in a case: the limits that Headway is held against.

verdict.py and the report compare with them.
"""

from benchmarks.simulation.arrivals import Crowd, Poisson
from benchmarks.simulation.case import Case
from benchmarks.simulation.optimum import Optimum, solve

__all__ = ["best_goodput", "ideal_throughput", "load", "optimum", "rate"]


def optimum(case: Case) -> Optimum:
    """Return the best policy of a case of Poisson arrivals and one replica.

    Raises:
        TypeError: If it is another case.
    """
    return solve(service=case.service.outcomes, rate=rate(case), max_rows=case.max_rows)


def rate(case: Case) -> float:
    """Return the arrivals per second.

    Raises:
        TypeError: If the case is not of Poisson arrivals only.
    """
    (traffic,) = case.traffic
    if not isinstance(traffic.arrivals, Poisson):
        raise TypeError(f"{case.name} is not of Poisson arrivals")
    return traffic.arrivals.rate


def load(case: Case) -> float:
    """Return what comes over what can be served.

    Raises:
        TypeError: If the case is not of Poisson arrivals only.
    """
    return rate(case) / case.capacity


def best_goodput(case: Case) -> float:
    """Return the rows per second that nobody can exceed: what comes, or the capacity.

    Raises:
        TypeError: If the case is not of Poisson arrivals only.
    """
    return min(rate(case), case.capacity)


def ideal_throughput(case: Case) -> float:
    """Return the rows per second of one who knows when all clients are back.

    It starts a batch of all of them (or a full one) once the last is there. More than
    the capacity is not possible.

    Raises:
        TypeError: If the case is not one crowd in a closed loop.
    """
    (traffic,) = case.traffic
    crowd = traffic.arrivals
    if not isinstance(crowd, Crowd) or crowd.think_s:
        raise TypeError(f"{case.name} is not one crowd that does not think")
    _, latest_s = crowd.turnaround_s
    batch_s = case.service.mean_s(min(crowd.clients, case.max_rows))
    return min(case.capacity, crowd.clients / (latest_s + batch_s))
