"""Locust as a child process that tells what it measures, and is always stopped.

load starts one for a whole ladder; load_agent speaks from inside it.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from headway.core.parent_death import with_parent_death
from headway.errors import MissingExtraError, TrafficError
from headway.tools.load.load_agent import FD_VARIABLE, ORDERS_VARIABLE
from headway.tools.load.messages import Message, Orders

__all__ = ["LocustPlan", "LocustProcess"]

_AGENT = Path(__file__).with_name("load_agent.py")
_ANSWERED_S = 10
"""Time that requests under way have to be answered once the load is over."""
_START_S = 60.0
_STOP_S = 15.0
_LOG_LINES = 20


class LocustPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What Locust is started with."""

    locustfile: Path
    host: str
    """The server's URL."""
    orders: Orders
    processes: int
    """That make the load; with more than one, a further one coordinates them."""
    web_port: int | None
    """Of Locust's own page; None: it has none."""
    master_port: int
    """Where the processes meet, if there are several."""

    def command(self) -> list[str]:
        """Return the command, without what keeps it on a leash."""
        first = self.orders.rungs[0]
        return [
            *(sys.executable, "-m", "locust", "-f", f"{self.locustfile},{_AGENT}"),
            *("-H", self.host, "-u", str(first.users), "-r", f"{first.spawn_per_s:g}"),
            *("--stop-timeout", str(_ANSWERED_S), "--only-summary"),
            *(
                ["--headless"]
                if self.web_port is None
                else [
                    *("--autostart", "--web-host", "127.0.0.1"),
                    *("--web-port", str(self.web_port)),
                ]
            ),
            *(
                []
                if self.processes == 1
                else [
                    *("--processes", str(self.processes)),
                    *("--master-bind-host", "127.0.0.1"),
                    *("--master-bind-port", str(self.master_port)),
                    *("--master-port", str(self.master_port)),
                ]
            ),
        ]


class LocustProcess:
    """Locust in a session of its own, so that Ctrl-C is for whoever started it.

    Args:
        plan: What it does.
    """

    def __init__(self, plan: LocustPlan) -> None:
        self._plan = plan
        self._process: subprocess.Popen[bytes] | None = None
        self._killer: threading.Timer | None = None

    def __enter__(self) -> Self:
        """Start it.

        Raises:
            MissingExtraError: If Locust is not installed.
        """
        if find_spec("locust") is None:
            raise MissingExtraError(
                "there is no Locust to send users: pip install 'headway[load]'"
            )
        reader, writer = os.pipe()
        self._lines = os.fdopen(reader, "rb")
        self._log = tempfile.TemporaryFile()  # until __exit__
        try:
            self._process = subprocess.Popen(
                with_parent_death(self._plan.command()),
                env={
                    **os.environ,
                    FD_VARIABLE: str(writer),
                    ORDERS_VARIABLE: msgspec.json.encode(self._plan.orders).decode(),
                },
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                pass_fds=(writer,),
                start_new_session=True,
            )
        finally:
            os.close(writer)
        orders = self._plan.orders
        if not orders.stays:
            limit_s = _START_S + len(orders.rungs) * (orders.rung_s + _STOP_S)
            self._kill_after(limit_s)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process is not None
        if self._killer is not None:
            self._killer.cancel()
        if self._process.poll() is None:
            self.interrupt()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_S)
        self._kill()
        self._process.wait()
        self._lines.close()
        self._log.close()

    def messages(self) -> Iterator[Message]:
        """Yield what it tells, until it ends."""
        decoder = msgspec.json.Decoder(Message)
        for line in self._lines:
            yield decoder.decode(line)

    def interrupt(self) -> None:
        """Ask it to end, and to tell what it has measured; make it, after a while."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._kill_after(_STOP_S)

    def failure(self) -> TrafficError:
        """Return why it ended without having measured."""
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").splitlines()
        said = [line.strip() for line in lines[-_LOG_LINES:] if line.strip()]
        errors = [line for line in said if "ERROR" in line or "Error: " in line]
        last = (errors or said or ["it said nothing"])[-1]
        if "/ERROR/" in last:  # after its time and host; its module follows
            last = last.rpartition("/ERROR/")[2].partition(": ")[2]
        return TrafficError(f"Locust measured nothing with {self._what}: {last}")

    @property
    def _what(self) -> str:
        return self._plan.locustfile.name

    def _kill_after(self, seconds: float) -> None:
        if self._killer is not None:
            self._killer.cancel()
        self._killer = threading.Timer(seconds, self._kill)
        self._killer.daemon = True
        self._killer.start()

    def _kill(self) -> None:
        """End what is left of its session: itself, and its load processes."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
