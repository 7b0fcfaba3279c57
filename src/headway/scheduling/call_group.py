"""A group in the queue, and the pieces that batches cut from it.

Calls that one event loop turn of one API worker produced, that may share a batch and
whose deadlines are about the same: they are queued as one, which makes the cost of
scheduling one per turn instead of one per request.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

__all__ = ["BatchSlice", "CallGroup"]


class BatchSlice:
    """Rows of neighbouring calls of one group: whole calls, or a part of one.

    Attributes:
        group: Where they come from.
        first: Index of the first call.
        end: Index after the last call.
        skip: Rows of the first call that went out in earlier pieces.
        rows: Rows in this piece.
    """

    __slots__ = ("end", "first", "group", "rows", "skip")

    def __init__(
        self, *, group: "CallGroup", first: int, end: int, skip: int, rows: int
    ) -> None:
        self.group = group
        self.first = first
        self.end = end
        self.skip = skip
        self.rows = rows

    @property
    def start_row(self) -> int:
        """Index of the piece's first row among all rows of the group."""
        return self.group.offsets[self.first] + self.skip

    @property
    def is_partial(self) -> bool:
        """Whether it is a part of one call that was split."""
        return self.rows < self.group.rows[self.first] and self.end - self.first == 1

    @property
    def answered(self) -> int:
        """Calls whose callers have their answer after this piece."""
        whole = self.group.rows[self.first]
        if self.is_partial and self.skip + self.rows < whole:
            return 0
        return self.end - self.first


class CallGroup:
    """Calls that arrived together and may share a batch.

    Args:
        key: Cohorts with the same key may share a batch.
        method: The runner's method that they call; part of the key.
        rows: Rows of each call.
        due: Monotonic seconds by which a result is of use.
        arrived_at: Monotonic seconds at which the API worker sent it.
        priority: Class, 0 the most urgent.
        nbytes: Size of the payload.
        max_rows: Rows in a batch of this key at the most.
        alone: Whether each call makes a batch of its own, whole.
        load: What the caller wants to find again; the scheduler never looks at it.
    """

    __slots__ = (
        "alone",
        "arrived_at",
        "cursor",
        "due",
        "key",
        "left",
        "load",
        "max_rows",
        "method",
        "nbytes",
        "offsets",
        "priority",
        "rows",
        "sequence",
        "skip",
        "withdrawn",
    )

    def __init__(  # noqa: PLR0913 - a record of the scheduler, made once a frame
        self,
        *,
        key: bytes,
        method: str,
        rows: Sequence[int],
        due: float,
        arrived_at: float,
        max_rows: int,
        priority: int = 0,
        nbytes: int = 0,
        alone: bool = False,
        load: Any = None,
    ) -> None:
        self.key = key
        self.method = method
        self.rows = rows
        self.offsets = [0, *accumulate(rows)]
        self.due = due
        self.arrived_at = arrived_at
        self.priority = priority
        self.nbytes = nbytes
        self.max_rows = max_rows
        self.alone = alone
        self.load = load
        self.cursor = 0
        self.skip = 0
        self.left = self.offsets[-1]
        self.withdrawn: set[int] | None = None
        self.sequence = 0

    def take(self, most: int) -> Iterator[BatchSlice]:
        """Cut off at most `most` rows, in pieces of whole calls.

        A call larger than `max_rows` is cut; any other waits until it fits whole.
        """
        while most > 0 and self.left:
            piece = self._take_run(most)
            if piece is None:
                return
            most -= piece.rows
            yield piece
            if self.alone:
                return

    def _take_run(self, most: int) -> BatchSlice | None:
        """Cut off one run of neighbouring calls, or None if the next does not fit."""
        self._skip_withdrawn()
        first, skip = self.cursor, self.skip
        remaining = self.rows[first] - skip
        if self.alone:
            return self._advance(first, first + 1, skip, remaining)
        if remaining > most:
            if self.rows[first] <= self.max_rows:
                return None
            self.skip += most
            self.left -= most
            return BatchSlice(
                group=self, first=first, end=first + 1, skip=skip, rows=most
            )
        if skip or (self.left == self.offsets[-1] <= most):
            # The rest of a split call, or (nearly always) the whole group.
            end = first + 1 if skip else len(self.rows)
            return self._advance(
                first, end, skip, remaining if skip else self.offsets[-1]
            )
        end, rows = first, 0
        while end < len(self.rows) and not self._is_withdrawn(end):
            if rows + self.rows[end] > most:
                break
            rows += self.rows[end]
            end += 1
        return self._advance(first, end, 0, rows)

    def _advance(self, first: int, end: int, skip: int, rows: int) -> BatchSlice:
        self.cursor, self.skip = end, 0
        self.left -= rows
        return BatchSlice(group=self, first=first, end=end, skip=skip, rows=rows)

    def _is_withdrawn(self, call: int) -> bool:
        return self.withdrawn is not None and call in self.withdrawn

    def _skip_withdrawn(self) -> None:
        while self._is_withdrawn(self.cursor):
            self.cursor, self.skip = self.cursor + 1, 0

    def withdraw(self, call: int) -> int:
        """Drop a call that nobody waits for; return its rows that were still here."""
        if call < self.cursor or call >= len(self.rows) or self._is_withdrawn(call):
            return 0
        rows = self.rows[call] - (self.skip if call == self.cursor else 0)
        if self.withdrawn is None:
            self.withdrawn = set()
        self.withdrawn.add(call)
        self.left -= rows
        return rows

    @property
    def next_rows(self) -> int:
        """Rows that the next call still has here."""
        self._skip_withdrawn()
        return self.rows[self.cursor] - self.skip

    def remaining_calls(self) -> list[int]:
        """Return the indices of the calls that still have rows here."""
        return [
            call
            for call in range(self.cursor, len(self.rows))
            if not self._is_withdrawn(call)
        ]
