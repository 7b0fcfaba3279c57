"""Space: no two blocks overlap, and what was given back can be taken again."""

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

from headway.ipc.space import ALIGNMENT, Space


class Blocks(RuleBasedStateMachine):
    """Takes and gives back in any order, beside a map of every byte."""

    @initialize(capacity=st.integers(0, 40 * ALIGNMENT))
    def begin(self, capacity: int) -> None:
        self.usable = capacity - capacity % ALIGNMENT
        self.space = Space(capacity)
        self.blocks: dict[int, int] = {}

    def _holes(self) -> list[tuple[int, int]]:
        holes, at = [], 0
        for start, size in sorted(self.blocks.items()):
            if start > at:
                holes.append((at, start - at))
            at = start + size
        return [*holes, (at, self.usable - at)]

    @rule(nbytes=st.integers(0, 12 * ALIGNMENT))
    def take(self, nbytes: int) -> None:
        size = max(-(-nbytes // ALIGNMENT), 1) * ALIGNMENT
        fitting = [start for start, room in self._holes() if room >= size]
        start = self.space.take(nbytes)
        assert start == (fitting[0] if fitting else None)
        if start is not None:
            self.blocks[start] = size

    @precondition(lambda self: self.blocks)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        start = data.draw(st.sampled_from(sorted(self.blocks)))
        self.space.give_back(start)
        del self.blocks[start]

    @rule(start=st.integers(0, 40 * ALIGNMENT))
    def give_back_what_was_not_taken(self, start: int) -> None:
        if start not in self.blocks:
            with pytest.raises(KeyError):
                self.space.give_back(start)

    @invariant()
    def blocks_lie_apart(self) -> None:
        at = 0
        for start, size in sorted(self.blocks.items()):
            assert start >= at
            assert start % ALIGNMENT == 0
            at = start + size
        assert at <= self.usable
        assert self.space.taken_bytes == sum(self.blocks.values())

    def teardown(self) -> None:
        for start in list(self.blocks):
            self.space.give_back(start)
        if self.usable:
            assert self.space.take(self.usable) == 0
        assert self.space.take(1) is None


TestBlocks: Any = Blocks.TestCase
