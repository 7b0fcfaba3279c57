"""The least mean latency that any batching policy can reach with Poisson arrivals.

Batching for one replica as a semi-Markov decision process, solved by policy iteration;
benchmarks/simulation compares what the scheduler reaches with it.

The state is the number q of rows that wait when the replica is free. The actions are to
serve n of them, which takes S(n), or to wait for the next arrival (that ends every
sensible wait, as arrivals have no memory). While an action lasts each row in the system
costs its seconds, so the average cost per second is the mean number of rows in the
system, and by Little's law the mean latency is that over the rate. With g the average
cost, tau the mean duration, c the mean cost of an action and A the rows that arrive
meanwhile, the relative values h and the best actions satisfy

    h(q) = min over actions of  c - g * tau + E[h(q - n + A)],    h(0) = 0

(Puterman, Markov Decision Processes, 1994, chapter 11).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

__all__ = ["Optimum", "optimal_mean_latency_s", "solve"]

ServiceTimes = Callable[[int], Sequence[tuple[float, float]]]
"""Rows of a batch to (seconds, probability) pairs."""
Floats = np.ndarray[Any, np.dtype[np.float64]]
Rows = np.ndarray[Any, np.dtype[np.int64]]

_ROUNDS = 100
_PRECISION = 1e-3
_MOST_STATES = 4000
_SPREAD = 12.0
"""Standard deviations of a Poisson count that are computed."""


class Optimum(msgspec.Struct, frozen=True):
    """The best policy and what it costs."""

    mean_latency_s: float
    batch_rows: list[int]
    """What to serve when so many rows wait; 0 is to wait for the next arrival."""


class _Action(msgspec.Struct, frozen=True):
    """Serving n rows: what it costs, and what arrives meanwhile."""

    seconds: float
    square_s2: float
    """Mean square of the seconds."""
    arrivals: Floats
    """Probabilities of 0, 1, 2, ... arrivals."""


def optimal_mean_latency_s(
    *, service: ServiceTimes, rate: float, max_rows: int
) -> float:
    """Return the least mean latency of rows that arrive one by one at a rate.

    Args:
        service: The time of a batch.
        rate: Rows per second.
        max_rows: Rows in a batch at the most.

    Raises:
        ValueError: If the rate exceeds what any batch size can serve.
    """
    return solve(service=service, rate=rate, max_rows=max_rows).mean_latency_s


def solve(*, service: ServiceTimes, rate: float, max_rows: int) -> Optimum:
    """Return the best policy; see optimal_mean_latency_s."""
    actions = [_action(service(n), rate) for n in range(1, max_rows + 1)]
    capacity = max(n / action.seconds for n, action in enumerate(actions, 1))
    if rate >= capacity:
        raise ValueError(f"{rate:g} rows/s exceed the capacity of {capacity:g}")
    states, last_cost = max_rows + 50, math.inf
    policy: Rows = np.zeros(0, dtype=np.int64)
    while True:
        # How far the queue reaches depends on load and scatter: more states are added
        # until they make no difference.
        states *= 2
        cost, policy = _iterate(actions, rate, states, policy)
        if abs(cost - last_cost) < _PRECISION * cost or states >= _MOST_STATES:
            return Optimum(cost / rate, [int(n) for n in policy])
        last_cost = cost


def _iterate(
    actions: Sequence[_Action], rate: float, states: int, guess: Rows
) -> tuple[float, Rows]:
    """Return the least average cost and its policy, by policy iteration."""
    policy = np.minimum(np.arange(states + 1), len(actions))
    policy[: len(guess)] = guess
    for _ in range(_ROUNDS):
        cost, values = _evaluate(policy, actions, rate)
        better = _improve(actions, rate, cost, values)
        if np.array_equal(better, policy):
            break
        policy = better
    return cost, policy


def _action(times: Sequence[tuple[float, float]], rate: float) -> _Action:
    mean = max(seconds for seconds, _ in times) * rate
    arrivals = np.zeros(int(mean + _SPREAD * math.sqrt(mean) + _SPREAD))
    for seconds, probability in times:
        arrivals += probability * _poisson(seconds * rate, len(arrivals))
    return _Action(
        seconds=sum(seconds * p for seconds, p in times),
        square_s2=sum(seconds**2 * p for seconds, p in times),
        arrivals=arrivals / arrivals.sum(),
    )


def _poisson(mean: float, count: int) -> Floats:
    """Return the probabilities of 0 to count - 1 arrivals."""
    steps = np.arange(1, count)
    logs = np.concatenate([[0.0], np.cumsum(np.log(mean / steps))]) - mean
    return np.exp(logs)


def _evaluate(
    policy: Rows, actions: Sequence[_Action], rate: float
) -> tuple[float, Floats]:
    """Return the average cost of a policy and the relative values of its states."""
    last = len(policy) - 1
    next_state = np.zeros((last + 1, last + 1))
    cost, seconds = np.zeros(last + 1), np.zeros(last + 1)
    for waiting, rows in enumerate(policy):
        if rows == 0:
            seconds[waiting], cost[waiting] = 1 / rate, waiting / rate
            next_state[waiting, min(waiting + 1, last)] = 1.0
            continue
        action, rest = actions[rows - 1], waiting - rows
        seconds[waiting] = action.seconds
        cost[waiting] = waiting * action.seconds + rate * action.square_s2 / 2
        fitting = min(len(action.arrivals), last - rest)
        next_state[waiting, rest : rest + fitting] = action.arrivals[:fitting]
        next_state[waiting, last] += action.arrivals[fitting:].sum()
    # h = cost - g * seconds + next_state @ h; with h(0) = 0 its place is g's.
    matrix = np.eye(last + 1) - next_state
    matrix[:, 0] = seconds
    solution: Floats = np.asarray(np.linalg.solve(matrix, cost), dtype=np.float64)
    average = float(solution[0])
    solution[0] = 0.0
    return average, solution


def _improve(
    actions: Sequence[_Action], rate: float, average: float, values: Floats
) -> Rows:
    """Return the policy that is best if what follows costs `values`."""
    waiting = np.arange(len(values))
    least = (waiting - average) / rate + np.append(values[1:], np.inf)
    policy = np.zeros(len(values), dtype=np.int64)
    slope = values[-1] - values[-2]
    for rows, action in enumerate(actions, 1):
        # Beyond the last state the values go on as they end.
        beyond = values[-1] + slope * np.arange(1, len(action.arrivals) + 1)
        after = np.correlate(np.append(values, beyond), action.arrivals, "valid")
        value = np.full(len(values), np.inf)
        value[rows:] = (
            (waiting[rows:] - average) * action.seconds
            + rate * action.square_s2 / 2
            + after[: len(values) - rows]
        )
        is_better = value < least - 1e-12
        least[is_better], policy[is_better] = value[is_better], rows
    return policy
