"""A measurement session: each server on each model, under the same loads.

__main__ runs it; each result is appended to the record at once.
"""

import datetime
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.peers.catalogue import (
    CEILINGS,
    COMPILED,
    HEADWAY,
    ROOT,
    Request,
    command,
    connections_of,
    predictions,
    request_of,
)
from benchmarks.peers.installation import (
    FOLDER,
    is_installed,
    python_of,
    version_of,
)
from benchmarks.peers.models import train
from benchmarks.peers.process import StartError, UnderTest, free_port
from benchmarks.peers.record import Closed, Facts, Line, Open, Skipped, Started
from benchmarks.wrk import run_wrk
from headway.tools.open_loop.traffic import Phase, Traffic, send

__all__ = ["Plan", "Session"]

FACTORS: Final = (0.5, 1.0, 2.0)
_WARM_S = 1
_IMAGES = 100
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure, and for how long."""

    servers: Sequence[str]
    models: Sequence[str]
    open_models: Sequence[str]
    seconds: int
    runs: int
    limit_s: float
    """Time after which no more servers are started."""
    ceiling: Path | None = None


class Session:
    """Runs a plan.

    Args:
        plan: What to measure.
        note: Called with each line of the record.
    """

    def __init__(self, plan: Plan, note: Callable[[Line], None]) -> None:
        self._plan = plan
        self._note = note
        self._models = FOLDER / "models"
        self._expected: dict[str, list[object]] = {}

    def run(self) -> None:
        """Measure everything; a server that does not start is skipped."""
        train(self._models)
        self._note(self._facts())
        end = time.monotonic() + self._plan.limit_s
        for model in self._plan.models:
            for server in self._servers(model):
                if time.monotonic() > end:
                    self._note(Skipped(server, model, "the time was over"))
                    continue
                if server not in CEILINGS and not is_installed(server):
                    self._note(Skipped(server, model, "not installed"))
                    continue
                self._measure(server, model)

    def _servers(self, model: str) -> list[str]:
        ceilings = {"logistic": ["pipeline", "echo"], "forest": ["pipeline"]}
        if self._plan.ceiling is None:
            return list(self._plan.servers)
        return [*self._plan.servers, *ceilings.get(model, [])]

    def _measure(self, server: str, model: str) -> None:
        request = request_of(server, model)
        try:
            with self._start(server, model, request) as running:
                self._check(server, model, running.first_answer)
                self._load(server, model, running, request)
        except (StartError, OSError, ValueError, subprocess.SubprocessError) as error:
            print(error, file=sys.stderr)
            # The rest is the server's log, with paths of this machine.
            why, _, _ = str(error).partition("\n")
            self._note(Skipped(server, model, f"{type(error).__name__}: {why}"))

    def _start(self, server: str, model: str, request: Request) -> UnderTest:
        port, more = free_port(), {}
        package = COMPILED if server == HEADWAY else ROOT / "src"
        if server == "mlserver":
            more = {
                "MLSERVER_HTTP_PORT": str(port),
                "MLSERVER_GRPC_PORT": str(free_port()),
                "MLSERVER_METRICS_PORT": str(free_port()),
            }
        if server in CEILINGS:
            commands = self._ceiling(server, model, port)
        else:
            commands = [command(server, model, port, python_of(server))]
        environment = {
            **dict.fromkeys(_THREADS, "1"),
            "HEADWAY_PEERS_MODEL": model,
            "HEADWAY_PEERS_MODELS": str(self._models),
            "HEADWAY_HOME": str(self._models),
            "BENTOML_HOME": str(FOLDER / "bentoml-home"),
            "BENTOML_DO_NOT_TRACK": "True",
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(package))),
            **more,
        }
        return UnderTest(commands, port=port, request=request, environment=environment)

    def _ceiling(self, server: str, model: str, port: int) -> list[list[str]]:
        assert self._plan.ceiling is not None
        script = str(self._plan.ceiling / f"{server}.py")
        if server == "echo":
            return [[sys.executable, script, str(port)]]
        path = f"{tempfile.gettempdir()}/headway-peers-{port}.sock"
        # The web process connects at its start, so it must come second.
        runner = [script, "runner", str(self._models / f"{model}.pkl"), path]
        web = [sys.executable, script, "web", str(port), path]
        wait = f'until [ -S "{path}" ]; do sleep 0.1; done; exec "$@"'
        return [
            [sys.executable, *runner],
            [*("timeout", "--foreground", "600", "sh", "-c", wait, "sh"), *web],
        ]

    def _check(self, server: str, model: str, answer: bytes) -> None:
        if server == "echo":
            return
        found = predictions(msgspec.json.decode(answer))[:1]
        expected = self._expected.setdefault(model, found)
        if found != expected:
            raise StartError(f"answered {found}, the first server {expected}")

    def _load(
        self, server: str, model: str, running: UnderTest, request: Request
    ) -> None:
        def wrk(connections: int, seconds: int) -> Closed:
            load = run_wrk(
                running.url,
                connections=connections,
                seconds=seconds,
                body=request.body,
                content_type=request.content_type,
            )
            return Closed(server, model, seconds, load)

        counts = connections_of(model)
        wrk(counts[1], _WARM_S)
        start_ms = None
        if model == "image":
            start_ms = statistics.median(running.image_start_ms(_IMAGES))
        self._note(Started(server, model, running.start_s, running.pss_mib(), start_ms))
        rates: dict[int, list[float]] = {}
        for _ in range(self._plan.runs):
            for connections in counts:
                closed = wrk(connections, self._plan.seconds)
                self._note(closed)
                rates.setdefault(connections, []).append(closed.load.rps)
        if model in self._plan.open_models and server not in CEILINGS:
            best = max(statistics.median(found) for found in rates.values())
            for factor in FACTORS:
                self._note(self._open(server, model, running, request, (factor, best)))

    def _open(
        self,
        server: str,
        model: str,
        running: UnderTest,
        request: Request,
        rate: tuple[float, float],
    ) -> Open:
        factor, best = rate
        seconds = self._plan.seconds
        per_s = factor * best
        traffic = Traffic(
            url=running.url, phases=(Phase(per_s, seconds),), body=request.body
        )
        summary = send(traffic).summary(seconds)
        return Open(
            server=server,
            model=model,
            factor=factor,
            per_s=per_s,
            seconds=seconds,
            offered=summary.offered,
            in_time=summary.in_time,
            statuses=summary.statuses,
            not_sent=summary.not_sent,
            lag_p99_ms=summary.lag_p99_ms,
        )

    def _facts(self) -> Facts:
        memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
        cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        now = datetime.datetime.now(datetime.UTC)
        arguments = " ".join(sys.argv[1:])
        if self._plan.ceiling is not None:
            arguments = arguments.replace(str(self._plan.ceiling), "FOLDER")
        return Facts(
            at=now.isoformat(timespec="seconds"),
            commit=_output("git", "describe", "--always", "--dirty"),
            command=f"scripts/bench peers {arguments}",
            cpu=cpu.group(1) if cpu else platform.machine(),
            cores=os.cpu_count() or 0,
            memory_gib=round(int(memory.group(1)) / 2**20, 1) if memory else 0.0,
            kernel=platform.release(),
            python=platform.python_version(),
            wrk=_output("wrk", "-v").partition(" Copyright")[0],
            versions={
                server: version_of(server)
                for server in self._plan.servers
                if is_installed(server)
            },
        )


def _output(*words: str) -> str:
    result = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, check=False
    )
    return result.stdout.partition("\n")[0].strip()
