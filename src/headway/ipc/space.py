"""Which bytes of a memory are taken; pure, knows numbers only.

ipc/arena asks it where to put what it sends, and tells it what has been read.
"""

from bisect import bisect_left
from typing import Final

__all__ = ["ALIGNMENT", "Space"]

ALIGNMENT: Final = 64
"""Blocks begin at multiples of it: a cache line, and enough for any array's rows."""


class Space:
    """Blocks of a memory, taken where there is a hole and given back in any order.

    The first hole that is large enough is taken, so that little of the memory is ever
    touched while little of it is in use.

    Args:
        capacity: Bytes of the memory.
    """

    __slots__ = ("_ends", "_holes")

    def __init__(self, capacity: int) -> None:
        usable = capacity - capacity % ALIGNMENT
        self._holes: list[tuple[int, int]] = [(0, usable)] if usable else []
        """(start, end) of what is free, in order; no two touch."""
        self._ends: dict[int, int] = {}
        """End of each block that is taken, by its start."""

    @property
    def taken_bytes(self) -> int:
        """Bytes of all blocks, with what they were rounded up by."""
        return sum(end - start for start, end in self._ends.items())

    def take(self, nbytes: int) -> int | None:
        """Return the start of a block that is now taken, or None if none fits."""
        size = max(nbytes + -nbytes % ALIGNMENT, ALIGNMENT)
        for index, (start, end) in enumerate(self._holes):
            if end - start >= size:
                if end - start == size:
                    del self._holes[index]
                else:
                    self._holes[index] = (start + size, end)
                self._ends[start] = start + size
                return start
        return None

    def give_back(self, start: int) -> None:
        """Free a block.

        Raises:
            KeyError: If none that is taken starts there.
        """
        end = self._ends.pop(start)
        holes = self._holes
        at = bisect_left(holes, (start, end))
        if at < len(holes) and holes[at][0] == end:
            end = holes.pop(at)[1]
        if at and holes[at - 1][1] == start:
            holes[at - 1] = (holes[at - 1][0], end)
        else:
            holes.insert(at, (start, end))
