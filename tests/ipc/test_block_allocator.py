"""BlockAllocator: blocks never overlap, and freed memory can be allocated again."""

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from headway.ipc.shared_memory import ALIGNMENT, BlockAllocator


class Blocks(RuleBasedStateMachine):
    """Allocates and frees in any order, and compares with a list of all blocks."""

    @initialize(capacity=st.integers(0, 40 * ALIGNMENT))
    def begin(self, capacity: int) -> None:
        self.usable = capacity - capacity % ALIGNMENT
        self.allocator = BlockAllocator(capacity)
        self.blocks: dict[int, int] = {}

    def _holes(self) -> list[tuple[int, int]]:
        holes, at = [], 0
        for start, size in sorted(self.blocks.items()):
            if start > at:
                holes.append((at, start - at))
            at = start + size
        return [*holes, (at, self.usable - at)]

    @rule(nbytes=st.integers(0, 12 * ALIGNMENT))
    def allocate(self, nbytes: int) -> None:
        size = max(-(-nbytes // ALIGNMENT), 1) * ALIGNMENT
        fitting = [start for start, room in self._holes() if room >= size]
        start = self.allocator.allocate(nbytes)
        assert start == (fitting[0] if fitting else None)
        if start is not None:
            self.blocks[start] = size

    @precondition(lambda self: self.blocks)
    @rule(data=st.data())
    def free(self, data: st.DataObject) -> None:
        start = data.draw(st.sampled_from(sorted(self.blocks)))
        self.allocator.free(start)
        del self.blocks[start]

    @rule(start=st.integers(0, 40 * ALIGNMENT))
    def free_what_was_not_allocated(self, start: int) -> None:
        if start not in self.blocks:
            with pytest.raises(KeyError):
                self.allocator.free(start)

    @invariant()
    def blocks_do_not_overlap(self) -> None:
        at = 0
        for start, size in sorted(self.blocks.items()):
            assert start >= at
            assert start % ALIGNMENT == 0
            at = start + size
        assert at <= self.usable

    def teardown(self) -> None:
        for start in list(self.blocks):
            self.allocator.free(start)
        if self.usable:
            assert self.allocator.allocate(self.usable) == 0
        assert self.allocator.allocate(1) is None


TestBlocks: Any = Blocks.TestCase
