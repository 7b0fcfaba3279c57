"""A server under test: `headway serve` as a child process that is always stopped.

The tuner and the walk use it as a context, one after the other.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from headway.core.parent_death import with_parent_death
from headway.errors import TrafficError

__all__ = ["Served"]

_READY = re.compile(r" is ready at https?://[^:]+:(\d+)")
_TAIL_LINES = 20
_STOP_S = 10.0


class Served:
    """`headway serve` on a free port of the loopback address.

    It is a session of its own, so that Ctrl-C is for whoever started it, and the kernel
    ends it should that one be killed.

    Args:
        service: `module:svc`.
        working_dir: Where the service is.
        config_file: The configuration.
        arguments: Further arguments of `headway serve`.
        environment: Variables besides this process's own.
        start_timeout_s: Time that it has to be ready.
    """

    def __init__(
        self,
        *,
        service: str,
        working_dir: Path,
        config_file: Path,
        arguments: Sequence[str] = ("--production",),
        environment: Mapping[str, str] | None = None,
        start_timeout_s: float = 60.0,
    ) -> None:
        self._command = with_parent_death(
            [
                *(sys.executable, "-m", "headway", "serve", service),
                *("--working-dir", str(working_dir), "--config", str(config_file)),
                *("--host", "127.0.0.1", "--port", "0", *arguments),
            ]
        )
        self._environment = {**os.environ, **(environment or {})}
        self._start_timeout_s = start_timeout_s
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._ready_or_over = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where it serves, without a path."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        """Start it and wait until it is ready.

        Raises:
            TrafficError: If it is not, with the last lines of its log.
        """
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._pump = threading.Thread(target=self._read, daemon=True)
        self._pump.start()
        self._ready_or_over.wait(self._start_timeout_s)
        if not self._port:
            code = self._process.poll()
            how = (
                f"was not ready within {self._start_timeout_s:g} s"
                if code is None
                else "did not start"
            )
            raise TrafficError(f"the server {how}: {self.last_words}")

    def _read(self) -> None:
        """Read its log to the end: one that nobody reads would block it."""
        assert self._process is not None
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._tail.append(line.rstrip())
            found = _READY.search(line)
            if found:
                self._port = int(found[1])
                self._ready_or_over.set()
        # Its end is seen by poll only once it has been waited for.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_S)
        self._ready_or_over.set()

    @property
    def last_words(self) -> str:
        """The line of its log that says most of why it ended."""
        lines = [line for line in self._tail if line.strip()]
        errors = [line for line in lines if line.startswith("headway: error: ")]
        said = errors[-1:] or lines[-1:] or ["it said nothing"]
        return said[0].removeprefix("headway: error: ")

    def _stop(self) -> None:
        """Let it drain; kill what is left of its session."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._pump.join(_STOP_S)
        if process.stderr is not None:
            process.stderr.close()
