"""Runs `headway serve` as a process, for the tests of this folder."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.serving.processes import children

__all__ = ["SERVICES", "Server"]

SERVICES = Path(__file__).parent.parent / "services"
_READY = re.compile(r" is ready at https?://[^:]+:(\d+)")


class Server:
    """A server of one of tests/services, on a free port.

    Args:
        service: `module:svc`.
        arguments: Further arguments of `headway serve`.
        production: Whether to serve with several processes.
        config: The text of the configuration file.
        environment: Variables besides this process's own.
        working_dir: Where the service is.
    """

    def __init__(
        self,
        service: str,
        *arguments: str,
        production: bool = False,
        config: str = "",
        environment: Mapping[str, str] | None = None,
        working_dir: Path = SERVICES,
    ) -> None:
        # Not pytest's own folder, as the path of a Unix socket has to be short.
        self.folder = Path(tempfile.mkdtemp(prefix="hw-test-"))
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._is_over = False
        self._port = 0
        file = self.folder / "test.yaml"
        file.write_text(config)
        self._command = [
            *(sys.executable, "-m", "headway", "serve", service),
            *("--working-dir", str(working_dir), "--config", str(file)),
            *("--host", "127.0.0.1", "--port", "0"),
            *(["--production"] if production else []),
            *arguments,
        ]
        self._environment = {
            **os.environ,
            "TMPDIR": str(self.folder),
            **(environment or {}),
        }

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            sys.stderr.write(self.log)  # pytest shows it with the failure
        self.close()

    def start(self) -> None:
        """Start the process."""
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._pump = threading.Thread(target=self._read, daemon=True)
        self._pump.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    @property
    def log(self) -> str:
        """The standard error of all processes so far."""
        return "".join(self._lines)

    @property
    def pid(self) -> int:
        """The process that was started: with production, the supervisor."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process that was started has not ended."""
        return self._process.poll() is None

    @property
    def port(self) -> int:
        """The port that it serves on."""
        return self._port

    @property
    def mark(self) -> int:
        """The current end of the log, for `wait_for`."""
        return len(self._lines)

    def has(self, text: str, *, after: int = 0) -> bool:
        """Return whether a line from `after` on has a text in it."""
        return any(text in line for line in self._lines[after:])

    def wait_for(self, pattern: str, *, after: int = 0, timeout_s: float = 50) -> str:
        """Return the first line from `after` on in which a pattern is found."""
        wanted = re.compile(pattern)
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                for line in self._lines[after:]:
                    if wanted.search(line):
                        return line
                left = deadline - time.monotonic()
                assert left > 0, f"no {pattern!r} in time in the log:\n{self.log}"
                assert not self._is_over, f"ended without {pattern!r}:\n{self.log}"
                self._changed.wait(left)

    def wait_ready(self, *, after: int = 0) -> None:
        """Wait for the line with the address."""
        match = _READY.search(self.wait_for(_READY.pattern, after=after))
        assert match is not None
        self._port = int(match[1])

    def processes(self) -> dict[str, int]:
        """Return the pids of the supervisor's processes by name."""
        return children(self.pid)

    def wait_processes(self, *names: str, timeout_s: float = 10) -> dict[str, int]:
        """Return the pids by name once there are processes of these names."""
        deadline = time.monotonic() + timeout_s
        while not (found := self.processes()).keys() >= set(names):
            assert self.is_running, self.log
            assert time.monotonic() < deadline, (found, self.log)
        return found

    def kill(self, name: str) -> None:
        """Kill one of the supervisor's processes."""
        os.kill(self.processes()[name], signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process that was started, and to no other."""
        self._process.send_signal(number)

    def wait(self, timeout_s: float = 15) -> int:
        """Wait for its end and return its exit code."""
        code = self._process.wait(timeout_s)
        self._pump.join(timeout_s)  # a process that is left keeps stderr open
        assert not self._pump.is_alive(), f"a process is left:\n{self.log}"
        return code

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Drain it, and return its exit code."""
        self.send(number)
        return self.wait()

    def output(self) -> str:
        """Return its standard output; only after it has ended."""
        assert self._process.stdout is not None
        return self._process.stdout.read()

    def leftovers(self) -> list[str]:
        """Return the names of files that its run left in the temporary folder."""
        return [path.name for path in self.folder.glob("headway-*")]

    def close(self) -> None:
        """End all processes and remove the folder."""
        if self._process.poll() is None:
            self.send(signal.SIGTERM)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        # Its processes are a session of their own.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._pump.join(5)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        shutil.rmtree(self.folder, ignore_errors=True)
