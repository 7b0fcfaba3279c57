"""Runs a load test: Locust's users against a server, load step by load step.

cli/load, the walk and the demo run it. locust_process generates the load, server_watch
reads the server's metrics, and LoadResult joins both as they arrive.
"""

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from headway.tools.load.locust_process import LocustPlan, LocustProcess
from headway.tools.load.messages import (
    AgentMessage,
    AgentPlan,
    AllSpawned,
    Figures,
    LoadEnded,
    SecondPassed,
    StepBegan,
    StepEnded,
)
from headway.tools.load.server_watch import (
    ServerFigures,
    ServerWatch,
    between,
    per_second,
)
from headway.tools.options import LoadStep

_JOINED_S = 0.3
"""Delay of the metrics sample that is requested at the end of a time span."""


# The JSON of `--json` keeps the keys "rungs" and "rung".
class StepResult(msgspec.Struct, frozen=True, kw_only=True, rename={"step": "rung"}):
    """Result of a load step, or of a part of it if it was stopped."""

    step: LoadStep
    users: int
    """Target number of users at its end."""
    whole: Figures
    """Figures with the ramp."""
    steady: Figures | None
    """Figures since all users were spawned; None: they never were."""
    server: ServerFigures | None
    """The server's own figures of the same time: of `steady`, otherwise of `whole`."""
    server_whole: ServerFigures | None
    """The server's own figures of the whole step."""

    @property
    def figures(self) -> Figures:
        """The figures by which steps are compared."""
        return self.steady or self.whole


class LoadSecond(msgspec.Struct, frozen=True, kw_only=True, rename={"step": "rung"}):
    """One second of the load, as its users saw it."""

    at_s: float
    """End of the second, from the start of the first step."""
    step: int
    users: int
    figures: Figures


class LoadResult(msgspec.Struct, kw_only=True, rename={"steps": "rungs"}):
    """Result of a load test, complete or stopped."""

    url: str
    users_from: str
    """What the users did: the locustfile, or the APIs that received their samples."""
    steps: list[StepResult] = []
    seconds: list[LoadSecond] = []
    server_seconds: list[ServerFigures] = []
    """Their times count from the start of the first step, like those of `seconds`."""
    errors: list[str] = []
    """Failures, as in "12 x POST /ask: ...", the most frequent first."""
    is_whole: bool = False
    """Whether all steps ran to their end."""

    @property
    def requests(self) -> int:
        """Requests of all steps."""
        return sum(step.whole.requests for step in self.steps)

    @property
    def failures(self) -> int:
        """Failures of all steps."""
        return sum(step.whole.failures for step in self.steps)


class LoadPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to send, and to which server."""

    url: str
    locustfile: Path
    users_from: str
    """What the users do, in a few words."""
    ladder: tuple[LoadStep, ...]
    step_s: float
    processes: int = 1
    web_port: int | None = None


class LoadTest:
    """One load test; a context manager during which Locust runs.

    Args:
        plan: What to send.
        progress: Called with each message from Locust.
    """

    def __init__(
        self, *, plan: LoadPlan, progress: Callable[[AgentMessage], None]
    ) -> None:
        self._plan = plan
        self._progress = progress
        self._watch = ServerWatch(plan.url)
        self._began = self._spawned = 0.0
        """Start of the current step, and the time at which its users were spawned."""
        self._zero = 0.0
        self._is_interrupted = False
        self.result = LoadResult(url=plan.url, users_from=plan.users_from)
        """What was measured so far, also if `run` raises."""

    def __enter__(self) -> Self:
        """Start Locust.

        Raises:
            MissingExtraError: If Locust is not installed.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._watch)
            self._locust = stack.enter_context(LocustProcess(self._locust_plan()))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def run(self) -> None:
        """Run all load steps; after Ctrl-C, `result` keeps what was measured.

        Raises:
            KeyboardInterrupt: After Ctrl-C.
            TrafficError: If nothing was measured.
        """
        try:
            self._follow()
        except KeyboardInterrupt:
            self._is_interrupted = True
            self._locust.interrupt()
            self._follow()
            raise
        finally:
            self._join()
        if not self.result.steps:
            raise self._locust.failure()

    def wait(self) -> None:
        """Wait until Locust ends; with a web page, it runs until Ctrl-C."""
        for _ in self._locust.messages():
            pass

    def _locust_plan(self) -> LocustPlan:
        plan = self._plan
        return LocustPlan(
            locustfile=plan.locustfile,
            host=plan.url,
            agent_plan=AgentPlan(
                steps=plan.ladder,
                step_s=plan.step_s,
                stays=plan.web_port is not None,
            ),
            processes=plan.processes,
            web_port=plan.web_port,
            master_port=_free_port(),
        )

    def _follow(self) -> None:
        for message in self._locust.messages():
            self._note(message)
            self._progress(message)
            if isinstance(message, LoadEnded) and self._plan.web_port is not None:
                return

    def _note(self, message: AgentMessage) -> None:
        match message:
            case StepBegan(_, at):
                self._zero = self._zero or at
                self._began = self._spawned = at
                self._watch.take()
            case AllSpawned(_, at):
                self._spawned = at
                self._watch.take()
            case SecondPassed():
                self.result.seconds.append(
                    LoadSecond(
                        at_s=round(message.at - self._zero, 3),
                        step=message.step,
                        users=message.users,
                        figures=message.figures,
                    )
                )
            case StepEnded():
                self._watch.take()
                self.result.steps.append(
                    StepResult(
                        step=self._plan.ladder[message.step],
                        users=message.users,
                        whole=message.whole,
                        steady=message.steady,
                        server=self._counted(self._spawned, message.at),
                        server_whole=self._counted(self._began, message.at),
                    )
                )
            case LoadEnded(errors):
                self.result.errors = list(errors)

    def _counted(self, began: float, ended: float) -> ServerFigures | None:
        return between(self._watch.samples, began, ended + _JOINED_S, zero=self._zero)

    def _join(self) -> None:
        """Add the server's own figures for each second of the load."""
        result = self.result
        found = per_second(self._watch.samples, zero=self._zero)
        result.server_seconds = [second for second in found if second.at_s >= 0]
        is_complete = len(result.steps) == len(self._plan.ladder)
        result.is_whole = is_complete and not self._is_interrupted


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
