"""Sends Locust's users to a server, rung by rung, and joins what both sides measure.

cli/load, the walk and the demo run it: locust_process makes the load, server_watch asks
the server, the result is kept as it comes.
"""

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from headway.tools.load.ladder import Rung
from headway.tools.load.locust_process import LocustPlan, LocustProcess
from headway.tools.load.messages import (
    Began,
    Ended,
    Message,
    Orders,
    Over,
    Spawned,
    Tick,
)
from headway.tools.load.result import LoadResult, RungResult, Second
from headway.tools.load.server_watch import (
    ServerFigures,
    ServerWatch,
    between,
    per_second,
)

__all__ = ["Load", "LoadPlan"]

_JOINED_S = 0.3
"""A sample of the server that is asked for at the end of a span comes so much later."""


class LoadPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent to whom."""

    url: str
    locustfile: Path
    users_from: str
    """Says what the users do, in a few words."""
    ladder: tuple[Rung, ...]
    rung_s: float
    processes: int = 1
    web_port: int | None = None


class Load:
    """One load of a server; a context, in which Locust runs.

    Args:
        plan: What to send.
        progress: Told all that Locust tells, as it comes.
    """

    def __init__(self, *, plan: LoadPlan, progress: Callable[[Message], None]) -> None:
        self._plan = plan
        self._progress = progress
        self._watch = ServerWatch(plan.url)
        self._began = self._spawned = 0.0
        """When the last rung did, and when all of its users were there."""
        self._zero = 0.0
        self._is_interrupted = False
        self.result = LoadResult(url=plan.url, users_from=plan.users_from)
        """What was measured, also if `climb` raises."""

    def __enter__(self) -> Self:
        """Start Locust.

        Raises:
            MissingExtraError: If it is not installed.
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

    def climb(self) -> None:
        """Climb the ladder; Ctrl-C ends it, and what was measured until then is kept.

        Raises:
            KeyboardInterrupt: If it was ended.
            TrafficError: If it measured nothing.
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
        if not self.result.rungs:
            raise self._locust.failure()

    def wait(self) -> None:
        """Wait until Locust ends, which Ctrl-C has to make it if it has a page."""
        for _ in self._locust.messages():
            pass

    def _locust_plan(self) -> LocustPlan:
        plan = self._plan
        return LocustPlan(
            locustfile=plan.locustfile,
            host=plan.url,
            orders=Orders(
                rungs=plan.ladder,
                rung_s=plan.rung_s,
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
            if isinstance(message, Over) and self._plan.web_port is not None:
                return

    def _note(self, message: Message) -> None:
        match message:
            case Began(_, at):
                self._zero = self._zero or at
                self._began = self._spawned = at
                self._watch.take()
            case Spawned(_, at):
                self._spawned = at
                self._watch.take()
            case Tick():
                self.result.seconds.append(
                    Second(
                        at_s=round(message.at - self._zero, 3),
                        rung=message.rung,
                        users=message.users,
                        figures=message.figures,
                    )
                )
            case Ended():
                self._watch.take()
                self.result.rungs.append(
                    RungResult(
                        rung=self._plan.ladder[message.rung],
                        users=message.users,
                        whole=message.whole,
                        steady=message.steady,
                        server=self._counted(self._spawned, message.at),
                        server_whole=self._counted(self._began, message.at),
                    )
                )
            case Over(errors):
                self.result.errors = list(errors)

    def _counted(self, began: float, ended: float) -> ServerFigures | None:
        return between(self._watch.samples, began, ended + _JOINED_S, zero=self._zero)

    def _join(self) -> None:
        """Add what the server counted, at the times of the load's own seconds."""
        result = self.result
        found = per_second(self._watch.samples, zero=self._zero)
        result.server_seconds = [second for second in found if second.at_s >= 0]
        is_complete = len(result.rungs) == len(self._plan.ladder)
        result.is_whole = is_complete and not self._is_interrupted


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
