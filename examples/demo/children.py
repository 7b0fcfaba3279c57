"""The child processes of the demo, which are always stopped."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import suppress


class DemoError(Exception):
    """An error message for the user."""


class Child:
    """A process in its own group, so that Ctrl-C reaches only the demo."""

    def __init__(self, name, process, log):
        self.name = name
        self.process = process
        self._log = log

    def wait(self, timeout_s):
        """Wait until it ends by itself; raise on a time-out or a failure."""
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise DemoError(f"{self.name} did not end in {timeout_s:g} s") from None
        if code != 0:
            raise self.failure(f"ended with {code}")

    def wait_for(self, url, timeout_s):
        """Wait until the URL answers 200."""
        give_up_at = time.monotonic() + timeout_s
        while not _answers(url):
            if self.process.poll() is not None:
                raise self.failure(f"ended with {self.process.returncode}")
            if time.monotonic() > give_up_at:
                raise self.failure(f"did not answer at {url} in {timeout_s:g} s")
            time.sleep(0.1)

    def stop(self, timeout_s):
        """Terminate it, then kill it; return its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                return self.process.wait(timeout_s)
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait()

    def failure(self, what):
        """Return an error with the end of the process's log."""
        lines = []
        if self._log is not None:
            lines = self._log.read_text("utf-8", errors="replace").splitlines()
        return DemoError("\n  ".join([f"{self.name} {what}", *lines[-15:]]))


class Children:
    """All child processes; they are stopped in reverse order of their start."""

    def __init__(self, interruption):
        self._interruption = interruption
        self._children = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with self._interruption.deferred():
            while self._children:
                self._children.pop().stop(timeout_s=10)

    def start(self, name, command, *, cwd, env, log=None, pass_fds=()):
        """Start a process; `log` is a file for its output, None the terminal."""
        with self._interruption.deferred():
            output = None if log is None else log.open("wb")
            try:
                process = subprocess.Popen(
                    command,
                    cwd=cwd,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=pass_fds,
                    start_new_session=True,
                )
            finally:
                if output is not None:
                    output.close()
            child = Child(name, process, log)
            self._children.append(child)
        return child

    def stop(self, child, timeout_s):
        with self._interruption.deferred():
            self._children.remove(child)
            return child.stop(timeout_s)


def free_port(host, preferred):
    """Return the preferred port, or a free one if it is taken."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            # As servers do; otherwise a port is blocked for a minute after use.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind((host, port))
                return probe.getsockname()[1]
    raise DemoError(f"no port of {host} is free")


def _answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except OSError:  # refused, or an HTTP error
        return False
