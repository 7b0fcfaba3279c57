"""Arena: what is written at one end is read at the other, for as long as it is used."""

import mmap
import threading
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import WireError
from headway.ipc.arena import Arena
from headway.ipc.block_frame import (
    BLOCK,
    UNUSED,
    decode_unused,
    encode_block,
    encode_unused,
)
from headway.ipc.call import Buffer
from headway.ipc.frames import kind_of_frame
from headway.ipc.framing import FrameCutter
from tests.ipc.transport.ends import frame

HALF = 16 * mmap.PAGESIZE


class Pair:
    """Both ends of a memory in one process."""

    def __init__(self, share_from: int = 100) -> None:
        memory = mmap.mmap(-1, 2 * HALF)
        self.near = Arena(memory=memory, half=0, share_from=share_from)
        self.far = Arena(memory=memory, half=1, share_from=share_from)

    def carry(self, *buffers: Buffer) -> list[memoryview]:
        """Return the frames that come of those that went."""
        return take_in(self.far, send(self.near, buffers))

    def answer(self) -> None:
        """Have the far end send something, and with it what it does not use."""
        take_in(self.near, send(self.far, [frame(b"")]))


def send(arena: Arena, buffers: Sequence[Buffer]) -> list[memoryview]:
    packed = arena.pack(buffers, sum(map(len, buffers)))
    return list(FrameCutter().feed(b"".join(packed)))


def take_in(arena: Arena, sent: list[memoryview]) -> list[memoryview]:
    frames = []
    for one in sent:
        if kind_of_frame(one) == BLOCK:
            frames += list(arena.frames(one))
        elif kind_of_frame(one) == UNUSED:
            arena.take_back(one)
        else:
            frames.append(one)
    return frames


@given(st.lists(st.lists(st.binary(max_size=3000), max_size=6), max_size=12))
def test_frames_come_as_they_were_and_the_memory_is_whole_again(
    writes: list[list[bytes]],
) -> None:
    pair = Pair()
    kept, sent = [], []
    for bodies in writes:
        frames = [frame(body) for body in bodies]
        sent += frames
        kept += pair.carry(*frames)
    # Only now: no write may have gone where an earlier one still lies.
    assert [bytes(one) for one in kept] == sent
    kept.clear()
    pair.answer()
    assert pair.near.is_whole
    assert pair.far.is_whole


@pytest.mark.parametrize("pieces", [1, 3, 4000], ids=["one", "few", "many"])
def test_buffers_are_put_together(pieces: int) -> None:
    whole = frame(bytes(range(256)) * 200)
    size = -(-len(whole) // pieces)
    buffers = [whole[at : at + size] for at in range(0, len(whole), size)]
    (came,) = Pair().carry(*buffers)
    assert came == whole


def test_what_is_small_goes_as_it_is() -> None:
    pair = Pair(share_from=1000)
    small, large = frame(bytes(900)), frame(bytes(992))
    assert len(small) < 1000 <= len(large)
    assert pair.near.pack([small], len(small)) == [small]
    assert kind_of_frame(memoryview(pair.near.pack([large], len(large))[0])) == BLOCK


def test_a_full_memory_lets_frames_go_as_they_are() -> None:
    pair = Pair()
    half = frame(bytes(HALF // 2 - 8))
    kept = pair.carry(half), pair.carry(half)
    assert pair.near.pack([half], len(half)) == [half]
    kept = kept[:1]  # type: ignore[assignment]  # one is done with
    pair.answer()
    assert kind_of_frame(memoryview(pair.near.pack([half], len(half))[0])) == BLOCK
    assert bytes(kept[0][0]) == half


def test_a_frame_that_is_larger_than_the_memory() -> None:
    pair = Pair()
    larger = frame(bytes(HALF))
    (came,) = pair.carry(larger)
    assert came == larger
    assert pair.near.is_whole


def test_an_array_over_a_frame_keeps_it() -> None:
    pair = Pair()
    numbers = np.arange(500.0)
    (came,) = pair.carry(frame(numbers.tobytes()))
    array = np.frombuffer(came[8:], np.float64)[100:]
    del came
    pair.answer()
    assert not pair.near.is_whole
    (other,) = pair.carry(frame(bytes(4000)))
    assert np.array_equal(array, numbers[100:])
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1.0
    del array, other
    pair.answer()
    assert pair.near.is_whole


def test_the_peer_is_told_at_once_of_much_that_is_unused() -> None:
    pair = Pair()
    told: list[int] = []
    pair.far.tell = lambda: told.append(len(pair.far.unused))
    eighth = frame(bytes(HALF // 8 - 8))
    for _ in range(4):
        pair.carry(eighth)
    assert told == [2]  # at a quarter of the memory, once
    pair.answer()
    pair.carry(eighth)
    assert told == [2]
    pair.carry(eighth)
    assert told == [2, 2]


def test_any_thread_may_be_the_last_to_use_a_block() -> None:
    pair = Pair()
    kept = [pair.carry(frame(bytes(500))) for _ in range(40)]
    shares = [kept[at::4] for at in range(4)]
    kept.clear()
    threads = [threading.Thread(target=share.clear) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pair.answer()
    assert pair.near.is_whole


@pytest.mark.parametrize(
    ("start", "nbytes", "message"),
    [
        (HALF - 8, 16, "does not lie in"),
        (0, HALF + 8, "does not lie in"),
        (2**64 - 1, 1, "does not lie in"),
        (0, 2**64 - 1, "does not lie in"),
        (0, 0, "does not lie in"),
        (HALF, 0, "does not lie in"),
        (0, 3, "ends amid a frame"),
        (0, 16, "says that it is 0 bytes long"),
    ],
)
def test_a_block_that_cannot_be(start: int, nbytes: int, message: str) -> None:
    pair = Pair()
    with pytest.raises(WireError, match=message):
        list(pair.far.frames(memoryview(encode_block(start, nbytes))))


@given(st.binary(min_size=1, max_size=200))
def test_whatever_lies_in_a_block_is_frames_or_a_wire_error(content: bytes) -> None:
    pair = Pair(share_from=1)
    (block,) = send(pair.near, [content])
    try:
        frames = [bytes(one) for one in pair.far.frames(block)]
    except WireError:
        pass
    else:
        assert b"".join(frames) == content


def test_a_block_that_is_in_use_cannot_come_again() -> None:
    pair = Pair()
    (block,) = send(pair.near, [frame(bytes(500))])
    (kept,) = pair.far.frames(block)
    with pytest.raises(WireError, match="sent again while it is in use"):
        pair.far.frames(block)
    del kept
    assert len(list(pair.far.frames(block))) == 1


def test_what_was_not_sent_cannot_be_freed() -> None:
    pair = Pair()
    pair.carry(frame(bytes(500)))
    (unused, _) = send(pair.far, [frame(b"")])
    assert decode_unused(unused) == (0,)
    pair.near.take_back(unused)
    for again in (unused, memoryview(encode_unused([64]))):
        with pytest.raises(WireError, match="no block at"):
            pair.near.take_back(again)
