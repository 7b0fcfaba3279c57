"""Does headway.locust.OpenLoopUser report the same p99 as tools/open_loop?

Poisson traffic to the same server, in turns: by Locust with an OpenLoopUser, as
`headway load` does, and by tools/open_loop. The server is stopped for a moment each
second, so that the p99 is far from 0; a closed loop would not see that.
"""

import os
import signal
import statistics
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.report import Criterion, argument_parser, show
from benchmarks.server import FLOWER, Server
from headway.tools.load.load import LoadPlan, LoadTest
from headway.tools.load.locust_process import open_users
from headway.tools.open_loop.traffic import Phase, Traffic, send
from headway.tools.options import LoadStep
from headway.tools.sample_request import SampleRequest

_CONFIG = "api_server: {workers: 1, timeout: 60}"
_EVERY_S = 1.0
_NEAR = 0.10


class _Stalls:
    """Stops a process for a moment, repeatedly."""

    def __init__(self, pid: int, stall_s: float) -> None:
        self._pid = pid
        self._stall_s = stall_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._stall, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _stall(self) -> None:
        while not self._over.wait(_EVERY_S - self._stall_s):
            os.kill(self._pid, signal.SIGSTOP)
            try:
                self._over.wait(self._stall_s)
            finally:
                os.kill(self._pid, signal.SIGCONT)


def main() -> None:
    """Run it."""
    parser = argument_parser(__doc__, seconds=10)
    parser.add_argument("--rate", type=float, default=5000.0, help="requests/s")
    parser.add_argument(
        "--stall-ms",
        type=float,
        default=100.0,
        help="time the server is stopped each second",
    )
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with Server("plain:plain", config=_CONFIG) as server:
        [api] = [pid for name, pid in server.processes().items() if name == "api-0"]
        with _Stalls(api, options.stall_ms / 1000):
            _by_generator(server, options.rate, 2)  # warm-up
            for _ in range(options.runs):
                rows.append(_by_generator(server, options.rate, options.seconds))
                rows.append(_by_user(server, options.rate, options.seconds))
    users, others = (
        statistics.median(row["p99 ms"] for row in rows if row["by"] == name)
        for name in ("OpenLoopUser", "generator")
    )
    failures = sum(row["failures"] for row in rows)
    criteria = [
        Criterion(
            "p99 of the user over that of the generator, within 10%",
            users / others,
            abs(users / others - 1) <= _NEAR,
        ),
        Criterion("failures: none", failures, failures == 0),
    ]
    show(
        f"a plain API, stopped {options.stall_ms:g} ms each second, "
        f"{options.rate:,.0f}/s",
        rows,
        options.json,
        criteria,
    )


def _by_generator(server: Server, per_s: float, seconds: float) -> dict[str, Any]:
    traffic = Traffic(
        url=server.url,
        phases=(Phase(per_s, seconds),),
        body=FLOWER.encode(),
        sends_deadline=False,
        connections=32,
        max_connections=2000,
    )
    found = send(traffic).summary(seconds)
    return {
        "by": "generator",
        "RPS": found.offered / seconds,
        "p50 ms": found.ok_p50_ms,
        "p99 ms": found.ok_p99_ms,
        "max ms": found.ok_max_ms,
        "failures": found.offered - found.in_time - found.late,
        "cores": "",
    }


def _by_user(server: Server, per_s: float, seconds: float) -> dict[str, Any]:
    sample = SampleRequest("/predict", FLOWER.encode())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "users.py"
        file.write_text(open_users([sample], per_s), encoding="utf-8")
        plan = LoadPlan(
            url=server.url.removesuffix("/predict"),
            locustfile=file,
            users_from=file.name,
            ladder=(LoadStep(1, 1),),
            step_s=seconds,
        )
        with LoadTest(plan=plan, progress=lambda _: None) as load:
            load.run()
    whole = load.result.steps[0].whole
    return {
        "by": "OpenLoopUser",
        "RPS": whole.rps,
        "p50 ms": whole.p50_ms,
        "p99 ms": whole.p99_ms,
        "max ms": whole.max_ms,
        "failures": whole.failures,
        "cores": whole.load_cores,
    }


if __name__ == "__main__":
    main()
