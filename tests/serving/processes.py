"""Process facts from the kernel; Linux only."""

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "SharedMemory",
    "children",
    "paused",
    "pss_bytes",
    "shared_memory",
    "wait_gone",
]


def children(parent: int) -> dict[str, int]:
    """Return the processes of a supervisor: pid by name."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            # The name in brackets may hold anything, so count from behind it.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it ended meanwhile
        if (
            int(fields[1]) == parent
            and fields[0] != "Z"
            and b"headway.server.process" in command
        ):
            name = command[command.index(b"headway.server.process") + 1]
            found[name.decode()] = int(folder.name)
    return found


@contextlib.contextmanager
def paused(pid: int, timeout_s: float = 10) -> Iterator[None]:
    """Stop a process, so that all data sent to it meanwhile arrives at once."""
    deadline = time.monotonic() + timeout_s
    os.kill(pid, signal.SIGSTOP)
    try:
        while _state(pid) != "T":  # there is no event to wait for
            assert time.monotonic() < deadline, f"process {pid} goes on"
            time.sleep(0.001)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _state(pid: int) -> str:
    stat = Path(f"/proc/{pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0]


def wait_gone(pids: Iterable[int], timeout_s: float = 10) -> None:
    """Wait until processes, children of any parent, have ended."""
    deadline = time.monotonic() + timeout_s
    for pid in pids:
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ended, _, _ = select.select(
                [fd], [], [], max(deadline - time.monotonic(), 0)
            )
        finally:
            os.close(fd)
        assert ended, f"process {pid} lives after {timeout_s} s"


def pss_bytes(pid: int) -> int:
    """Return a process's share of the memory in use."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the kernel tells no Pss")


class SharedMemory(NamedTuple):
    """Nameless memory that a process has open or mapped."""

    opened: list[int]
    """Inode of each file descriptor."""
    mapped: list[int]
    """Inode of each map."""
    used_bytes: int
    """The part that the process has touched."""


def shared_memory(pid: int) -> SharedMemory:
    """Return Headway's shared memory in a process."""
    opened = [
        fd.stat().st_ino
        for fd in Path(f"/proc/{pid}/fd").iterdir()
        if os.readlink(fd).startswith("/memfd:headway")
    ]
    mapped, used, is_ours = [], 0, False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        fields = line.split()
        if not fields[0].endswith(":"):  # the head of the next map
            is_ours = fields[-2].startswith("/memfd:headway")
            if is_ours:
                mapped.append(int(fields[4]))
        elif is_ours and fields[0] == "Rss:":
            used += int(fields[1]) * 1024
    return SharedMemory(sorted(opened), sorted(mapped), used)
