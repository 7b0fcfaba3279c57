"""For how long are answers late after a model has become four times slower?

The forest with 32 rows per batch, under Poisson traffic with a deadline. In the middle,
the model starts to compute each batch four times. One run is at 0.6 of the slow
capacity, another at 2.4 times the slow capacity.
"""

import argparse
import threading
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.overload import CONFIG
from benchmarks.report import Criterion, argument_parser, show
from benchmarks.server import FLOWER, Server
from benchmarks.wrk import run_wrk
from headway.tools.open_loop.traffic import Outcomes, Phase, Traffic, send

__all__ = ["lateness"]

_TIMES = 4
_SHARE = 0.6
_STEP_S = 0.1
_CONNECTIONS = 4000


def main() -> None:
    """Run it."""
    parser = argument_parser(__doc__, seconds=5)
    parser.add_argument("--deadline-ms", type=float, default=1000.0)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    criteria = []
    with Server("changing:svc", config=CONFIG) as server:
        fast = run_wrk(server.url, connections=256, seconds=4, body=FLOWER).rps
        rates = {"of the slow": _SHARE * fast / _TIMES, "of the fast": _SHARE * fast}
        for name, per_s in rates.items():
            load = f"{_SHARE} {name} capacity"
            runs = [_run(server, per_s, options) for _ in range(options.runs)]
            rows += [{"load": load, **run} for run in runs]
            last_s = sorted(run["last late after s"] for run in runs)[len(runs) // 2]
            claim = f"{load}: the last late answer comes < 2 s after the step"
            criteria.append(Criterion(claim, last_s, last_s < 2))
    title = f"forest that becomes {_TIMES} times slower; since the step"
    show(title, rows, options.json, criteria)


def _run(server: Server, per_s: float, options: argparse.Namespace) -> dict[str, Any]:
    """Send the traffic, with the slowdown in its middle."""
    seconds = options.seconds
    stepped_at: list[float] = []

    def step() -> None:
        stepped_at.append(time.monotonic())
        _set_times(server, _TIMES)

    _set_times(server, 1)
    traffic = Traffic(
        url=server.url,
        body=FLOWER.encode(),
        phases=(Phase(per_s, 2 * seconds),),
        deadline_ms=options.deadline_ms,
        connections=_CONNECTIONS,
    )
    timer = threading.Timer(seconds, step)
    timer.start()
    outcomes = send(traffic)
    timer.join()
    step_s = stepped_at[0] - outcomes.began
    late = lateness(outcomes, step_s)
    since = outcomes.between(step_s, 2 * seconds)
    summary = since.summary(2 * seconds - step_s)
    return {
        "per s": per_s,
        "in time": summary.in_time,
        "late": len(late),
        "last late after s": float(late.max(initial=0.0)),
        "latest ms": summary.ok_max_ms,
        "refused": summary.refused,
        "refused p99 ms": summary.refused_p99_ms,
        "lost or silent": summary.lost + summary.unanswered + summary.not_sent,
        "late in each 100 ms": _counts(late),
    }


def _set_times(server: Server, times: int) -> None:
    server.ask("POST", "/slow_down", str(times))


def lateness(outcomes: Outcomes, step_s: float) -> NDArray[np.float64]:
    """Return the times of late answers, in seconds since the slowdown."""
    after = outcomes.answered[outcomes.is_late] - step_s
    return after[after > 0]


def _counts(times_s: NDArray[np.float64]) -> str:
    """Return their number in each 100 ms, up to the last."""
    counts = np.bincount((times_s / _STEP_S).astype(np.int64))
    return " ".join(str(count) for count in counts)


if __name__ == "__main__":
    main()
