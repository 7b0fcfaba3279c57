"""The frames that stand for blocks: what goes in comes out, no others are read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import WireError
from headway.ipc.block_frame import (
    BLOCK,
    UNUSED,
    decode_block,
    decode_unused,
    encode_block,
    encode_unused,
)
from headway.ipc.frames import kind_of_frame
from headway.ipc.framing import FrameCutter

u64 = st.integers(0, 2**64 - 1)


def whole(frame: bytes) -> memoryview:
    (cut,) = FrameCutter().feed(frame)
    assert len(cut) % 8 == 0
    return cut


@given(u64, u64)
def test_a_block(start: int, nbytes: int) -> None:
    frame = whole(encode_block(start, nbytes))
    assert kind_of_frame(frame) == BLOCK
    assert decode_block(frame) == (start, nbytes)


@given(st.lists(u64, max_size=20))
def test_unused_blocks(starts: list[int]) -> None:
    frame = whole(encode_unused(starts))
    assert kind_of_frame(frame) == UNUSED
    assert decode_unused(frame) == tuple(starts)


@given(st.binary(min_size=8, max_size=60))
def test_other_bytes_are_numbers_or_a_wire_error(body: bytes) -> None:
    if len(body) == 24:
        decode_block(memoryview(body))
    else:
        with pytest.raises(WireError, match=f"BLOCK frame of {len(body)} bytes"):
            decode_block(memoryview(body))
    if len(body) % 8:
        with pytest.raises(WireError, match=f"UNUSED frame of {len(body)} bytes"):
            decode_unused(memoryview(body))
    else:
        assert len(decode_unused(memoryview(body))) == len(body) // 8 - 1
