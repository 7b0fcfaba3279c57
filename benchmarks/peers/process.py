"""A server of any kind, as a context that starts it and stops all its processes.

session uses it.
"""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from benchmarks.peers.catalogue import ROOT, Request, predictions

__all__ = ["StartError", "UnderTest", "free_port"]

_START_S = 60.0
_ASK_S = 10.0
_STOP_S = 10.0
_PAUSE_S = 0.1
_MARK = "HEADWAY_PEERS_RUN"
"""Environment variable that marks every process of a server."""


class StartError(Exception):
    """A server did not start, or answered wrongly."""


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class UnderTest:
    """One server, as one or more processes.

    Args:
        commands: Command of each process.
        port: Port to listen on.
        request: Request that it must answer with 200 to be ready.
        environment: Additional environment variables.
    """

    def __init__(
        self,
        commands: Sequence[list[str]],
        *,
        port: int,
        request: Request,
        environment: Mapping[str, str],
    ) -> None:
        self._commands = commands
        self._port = port
        self._request = request
        self._mark = f"{_MARK}={uuid.uuid4()}"
        name, _, value = self._mark.partition("=")
        self._environment = {**os.environ, **environment, name: value}
        self._processes: list[subprocess.Popen[bytes]] = []
        self.url = f"http://127.0.0.1:{port}{request.path}"
        self.start_s = 0.0
        """Time from the start to the first right answer."""
        self.first_answer = b""

    def __enter__(self) -> Self:
        self._log = tempfile.TemporaryFile()
        began = time.monotonic()
        try:
            for command in self._commands:
                process = subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=self._log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                self._processes.append(process)
            self._await_answer(began + _START_S)
        except BaseException:
            self._stop()
            raise
        self.start_s = time.monotonic() - began
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def _await_answer(self, end: float) -> None:
        last = "nothing"
        while time.monotonic() < end:
            if any(process.poll() is not None for process in self._processes):
                break
            try:
                status, self.first_answer = self.ask()
            except (OSError, http.client.HTTPException) as error:
                last = repr(error)
            else:
                if status == http.HTTPStatus.OK:
                    return
                last = f"{status}: {self.first_answer[:500]!r}"
            time.sleep(_PAUSE_S)
        self._log.seek(0)
        log = self._log.read().decode(errors="replace")[-2000:]
        raise StartError(f"no answer, but {last}; the end of its log:\n{log}")

    def ask(self) -> tuple[int, bytes]:
        """Send the request once and return the status and the body of the answer."""
        client = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_ASK_S)
        with contextlib.closing(client):
            headers = {"Content-Type": self._request.content_type}
            client.request("POST", self._request.path, self._request.body, headers)
            answer = client.getresponse()
            return answer.status, answer.read()

    def image_start_ms(self, count: int) -> list[float]:
        """Return the times from a request's last byte to the start of its model.

        It includes the time to read and decode it.
        """
        times = []
        client = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_ASK_S)
        with contextlib.closing(client):
            headers = {"Content-Type": self._request.content_type}
            for _ in range(count):
                client.request("POST", self._request.path, self._request.body, headers)
                sent = time.monotonic()
                numbers = _numbers(client.getresponse().read())
                times.append((numbers[-1] - sent) * 1e3)
        return times

    def pss_mib(self) -> float:
        """Return the proportional set size of all its processes."""
        kib = 0
        for pid in self._marked():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        kib += int(line.split()[1])
        return kib / 1024

    def _marked(self) -> list[int]:
        mark, found = self._mark.encode(), []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(OSError):
                    if mark in (folder / "environ").read_bytes().split(b"\0"):
                        found.append(int(folder.name))
        return found

    def _stop(self) -> None:
        for process in self._processes:
            process.terminate()
        end = time.monotonic() + _STOP_S
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(end - time.monotonic(), 0.1))
        while marked := self._marked():
            for pid in marked:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for process in self._processes:
                process.poll()
            time.sleep(_PAUSE_S)
        for process in self._processes:
            process.wait(_STOP_S)
        self._log.close()


def _numbers(body: bytes) -> list[float]:
    return predictions(msgspec.json.decode(body))
