"""Runs a `headway` command as a process, and finds all processes that it starts."""

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.serving.server import SERVICES

__all__ = ["Command"]


class Command:
    """`headway ...`, with a mark in the environment of all processes that it starts."""

    def __init__(self, *arguments: str, folder: Path) -> None:
        self._mark = f"HW_TEST_MARK={uuid.uuid4().hex}"
        name, _, value = self._mark.partition("=")
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "headway", *arguments),
                *("--working-dir", str(SERVICES)),
            ],
            cwd=folder,
            env={**os.environ, name: value},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.output = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def read_until(self, text: str) -> None:
        """Read its output up to the line that holds a text."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output += line
            if text in line:
                return
        raise AssertionError(f"ended without {text!r}:\n{self.output}")

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """Read the rest, and return the exit code."""
        assert self._process.stdout is not None
        self.output += self._process.stdout.read()
        return self._process.wait()

    def processes(self) -> list[int]:
        """Return the ids of its living processes."""
        found = []
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if (
                    folder.name.isdigit()
                    and self._mark.encode() in (folder / "environ").read_bytes()
                ):
                    found.append(int(folder.name))
        return found
