"""Locust as a child process, and the locustfiles that the tools generate for it.

load starts one process for all load steps; load_agent sends messages from inside it.
The context manager always stops it.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from headway.core.parent_death import with_parent_death
from headway.errors import MissingExtraError, TrafficError
from headway.tools.load.load_agent import FD_VARIABLE, PLAN_VARIABLE
from headway.tools.load.messages import AgentMessage, AgentPlan
from headway.tools.sample_request import (
    SampleRequest,
    api_document,
    check_sample,
    sample_in_document,
    samples_in_document,
)

_AGENT = Path(__file__).with_name("load_agent.py")
_ANSWERED_S = 10
"""Time for requests in flight after the last step."""
_START_S = 60.0
_STOP_S = 15.0
_LOG_LINES = 20
_CLOSED = '''"""Users of a service: each waits a while between two requests."""

from locust import FastHttpUser, between, task


class Visitor(FastHttpUser):
    wait_time = between(0.01, 2)
'''
_TASK = """
    @task
    def {name}(self):
        self.client.post({route!r}, {body!r}, headers={headers!r})
"""
_OPEN = '''"""Requests at a fixed rate, however slow the answers are."""

from headway.locust import OpenLoopUser, Poisson, Request


class Visitors(OpenLoopUser):
    arrivals = Poisson({per_s!r})
    requests = [
{requests}
    ]
'''


class LocustPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How Locust is started."""

    locustfile: Path
    host: str
    """URL of the server."""
    agent_plan: AgentPlan
    processes: int
    """Processes with users; if there are several, one more coordinates them."""
    web_port: int | None
    """Port of Locust's web page; None: no page."""
    master_port: int
    """Port by which several processes communicate."""

    def command(self) -> list[str]:
        """Return the command, without the parent-death wrapper."""
        first = self.agent_plan.steps[0]
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
    """Locust in a session of its own, which Ctrl-C does not reach.

    Args:
        plan: How to start it.
    """

    def __init__(self, plan: LocustPlan) -> None:
        self._plan = plan
        self._process: subprocess.Popen[bytes] | None = None
        self._killer: threading.Timer | None = None

    def __enter__(self) -> Self:
        """Start Locust.

        Raises:
            MissingExtraError: If it is not installed.
        """
        if find_spec("locust") is None:
            raise MissingExtraError(
                "load tests need Locust: pip install 'headway[load]'"
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
                    PLAN_VARIABLE: msgspec.json.encode(self._plan.agent_plan).decode(),
                },
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                pass_fds=(writer,),
                start_new_session=True,
            )
        finally:
            os.close(writer)
        plan = self._plan.agent_plan
        if not plan.stays:
            limit_s = _START_S + len(plan.steps) * (plan.step_s + _STOP_S)
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

    def messages(self) -> Iterator[AgentMessage]:
        """Yield the messages of the agent until Locust ends."""
        decoder = msgspec.json.Decoder(AgentMessage)
        for line in self._lines:
            yield decoder.decode(line)

    def interrupt(self) -> None:
        """Ask Locust to end and to send its results; kill it after a time-out."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._kill_after(_STOP_S)

    def failure(self) -> TrafficError:
        """Return why Locust ended without a measurement."""
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").splitlines()
        said = [line.strip() for line in lines[-_LOG_LINES:] if line.strip()]
        errors = [line for line in said if "ERROR" in line or "Error: " in line]
        last = (errors or said or ["no output"])[-1]
        if "/ERROR/" in last:  # strip the time, host and module of the log line
            last = last.rpartition("/ERROR/")[2].partition(": ")[2]
        return TrafficError(
            f"Locust measured nothing with {self._plan.locustfile.name}: {last}"
        )

    def _kill_after(self, seconds: float) -> None:
        if self._killer is not None:
            self._killer.cancel()
        self._killer = threading.Timer(seconds, self._kill)
        self._killer.daemon = True
        self._killer.start()

    def _kill(self) -> None:
        """Kill all processes of its session."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


def closed_users(samples: Sequence[SampleRequest]) -> str:
    """Return a locustfile whose users wait for their answers.

    Args:
        samples: Requests; each user sends them one at a time, all equally often.
    """
    names: set[str] = set()
    text = _CLOSED
    for sample in samples:
        name = re.sub(r"\W+", "_", sample.route, flags=re.ASCII).strip("_")
        name = f"ask_{name}" if name else "ask"
        while name in names:
            name += "_"
        names.add(name)
        text += _TASK.format(
            name=name,
            route=sample.route,
            body=sample.body,
            headers={"Content-Type": sample.content_type},
        )
    return text


def open_users(samples: Sequence[SampleRequest], per_s: float) -> str:
    """Return a locustfile that sends requests at a fixed rate.

    Args:
        samples: Requests, sent in turn.
        per_s: Rate of each user.
    """
    lines = [
        f"        Request({sample.route!r}, {sample.body!r}, "
        f"content_type={sample.content_type!r}),"
        for sample in samples
    ]
    return _OPEN.format(per_s=per_s, requests="\n".join(lines))


def write_sample_users(
    file: Path, url: str, route: str | None, body: Path | None, per_s: float | None
) -> str:
    """Write a locustfile whose users send samples; return what they do.

    Args:
        file: The locustfile.
        url: URL of the server.
        route: Path of the API; None: all APIs, unless there is a body.
        body: File with the body of each request; None: the documented sample.
        per_s: Rate of each user; None: users wait for their answers.

    Raises:
        TrafficError: If there is no sample, or the server does not answer it with 200.
    """
    document = api_document(url)
    if route is None and body is None:
        samples = samples_in_document(document, url)
    else:
        content = body.read_bytes() if body else None
        samples = [sample_in_document(document, url, route=route, body=content)]
    for sample in samples:
        check_sample(url, sample)
    text = closed_users(samples) if per_s is None else open_users(samples, per_s)
    file.write_text(text, encoding="utf-8")
    routes = ", ".join(sample.route for sample in samples)
    rate = "" if per_s is None else f", each user {per_s:g}/s"
    return f"the samples of {routes}{rate}"
