"""The last 15 minutes in a file, as a ring of slots: one writer, many readers.

    header      8 int64: unused, run, number of the newest second, the rest unused
    slots       second number N is in slot N modulo the number of slots:
                8 int64, of which 3 are used: number, bytes of the second, bytes of the
                totals; then the JSON of both

The recorder writes; the live page of any API worker reads. A slot is complete once the
header names it, and is overwritten much later, so readers need no lock.
"""

import mmap
import os
import struct
from pathlib import Path

import msgspec

KEPT_SECONDS = 900

_HEADER_BYTES = 64
_SLOT_BYTES = 32 * 1024
"""Mostly a hole in the file, which uses no disk space."""
_SLOTS = KEPT_SECONDS + 30
"""The oldest second is overwritten 30 s after it has expired."""
_NEWEST_AT = 16
_WORDS = struct.Struct("<3q")


class Excerpt(msgspec.Struct, frozen=True):
    """Seconds read from the history."""

    run: int
    """Differs between starts of the server."""
    newest: int
    """Number of the newest second, from 1; 0 if there is none yet."""
    seconds: list[bytes]
    """JSON of each second, oldest first."""
    totals: bytes
    """JSON of the newest totals."""


class HistoryWriter:
    """Writes the history of one run of the server, which `run` identifies."""

    def __init__(self, *, path: Path, run: int) -> None:
        self._path = path
        self._run = run
        self._file = -1

    def start(self) -> None:
        """Create the file.

        Raises:
            OSError: If it cannot be written.
        """
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.ftruncate(self._file, _HEADER_BYTES + _SLOTS * _SLOT_BYTES)
        os.pwrite(self._file, _WORDS.pack(0, self._run, 0), 0)

    def write(self, number: int, second: bytes, totals: bytes) -> None:
        """Add the next second.

        Raises:
            OSError: If the disk is full.
            ValueError: If the second is too large.
        """
        words = _WORDS.pack(number, len(second), len(totals))
        slot = words.ljust(_HEADER_BYTES, b"\0") + second + totals
        if len(slot) > _SLOT_BYTES:
            raise ValueError(f"{len(slot):,} bytes do not fit into {_SLOT_BYTES:,}")
        # Not through a mapping: on a full disk, a store would kill the process.
        os.pwrite(self._file, slot, _place(number))
        os.pwrite(self._file, number.to_bytes(8, "little"), _NEWEST_AT)

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _place(number: int) -> int:
    return _HEADER_BYTES + (number % _SLOTS) * _SLOT_BYTES


def read_history(path: Path, since: int) -> Excerpt:
    """Return the seconds after number `since`, at most the last 15 minutes.

    Args:
        path: The file.
        since: A number; a future one, from before a restart of the server, counts as 0.

    Raises:
        OSError: If the file cannot be read.
    """
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory,
    ):
        _, run, newest = _WORDS.unpack_from(memory)
        if since > newest:
            since = 0
        seconds = []
        totals = b"null"
        for number in range(max(since, newest - KEPT_SECONDS, 0) + 1, newest + 1):
            place = _place(number)
            is_number, second_bytes, totals_bytes = _WORDS.unpack_from(memory, place)
            if is_number != number:
                continue  # its write failed
            at = place + _HEADER_BYTES
            seconds.append(memory[at : at + second_bytes])
            if number == newest:
                at += second_bytes
                totals = memory[at : at + totals_bytes]
        return Excerpt(run, newest, seconds, totals)
