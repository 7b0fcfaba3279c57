"""A server under test: `headway serve` as a child process.

The tuner, the walk and `headway load` use it as a context, which always stops it.
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

_READY = re.compile(r" is ready at https?://[^:]+:(\d+)")
_TAIL_LINES = 20
_STOP_S = 10.0


class ServerProcess:
    """`headway serve` on a free port of the loopback address.

    It runs in a session of its own, which Ctrl-C does not reach. The kernel ends it if
    its parent is killed.

    Args:
        service: `module:svc`.
        working_dir: Folder of the service.
        config_file: The configuration file.
        arguments: Further arguments of `headway serve`.
        environment: Additional environment variables.
        start_timeout_s: Time-out until it is ready.
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
        """URL of the server, without a path."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Process id of `headway serve`."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        """Start the server and wait until it is ready.

        Raises:
            TrafficError: If it does not get ready, with an error from its log.
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
            raise TrafficError(f"the server {how}: {self.last_error}")

    def _read(self) -> None:
        """Read its log to the end, so that a full pipe never blocks it."""
        assert self._process is not None
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._tail.append(line.rstrip())
            found = _READY.search(line)
            if found:
                self._port = int(found[1])
                self._ready_or_over.set()
        # `poll` reports the exit code only after a wait.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_S)
        self._ready_or_over.set()

    @property
    def last_error(self) -> str:
        """The last error in its log, otherwise its last line."""
        lines = [line for line in self._tail if line.strip()]
        errors = [line for line in lines if line.startswith("headway: error: ")]
        found = errors[-1:] or lines[-1:] or ["no output"]
        return found[0].removeprefix("headway: error: ")

    def _stop(self) -> None:
        """Let it drain, then kill the rest of its session."""
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
