"""Shared memory: one end reads what the other writes, for as long as it is in use."""

import mmap
import threading
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import WireError
from headway.ipc.frames import (
    BLOCK,
    UNUSED,
    Buffer,
    FrameCutter,
    kind_of_frame,
    whole_frames,
)
from headway.ipc.shared_memory import (
    SharedMemory,
    decode_block,
    decode_unused,
    encode_block,
    encode_unused,
)
from tests.ipc.connections import frame

HALF = 16 * mmap.PAGESIZE


class Pair:
    """Both ends of a memory in one process."""

    def __init__(self, share_from: int = 100) -> None:
        memory = mmap.mmap(-1, 2 * HALF)
        self.near = SharedMemory(memory=memory, half=0, share_from=share_from)
        self.far = SharedMemory(memory=memory, half=1, share_from=share_from)

    def carry(self, *buffers: Buffer) -> list[memoryview]:
        """Return the frames that arrive at the far end."""
        return take_in(self.far, send(self.near, buffers))

    def answer(self) -> None:
        """Send a frame back, and with it the unused blocks."""
        take_in(self.near, send(self.far, [frame(b"")]))

    def is_free(self, end: SharedMemory) -> bool:
        """Return whether all of an end's half is free, by writing all of it."""
        all_of_it = frame(bytes(HALF - 8))
        block = memoryview(end.pack([all_of_it], HALF)[-1])
        return kind_of_frame(block) == BLOCK


def send(memory: SharedMemory, buffers: Sequence[Buffer]) -> list[memoryview]:
    packed = memory.pack(buffers, sum(map(len, buffers)))
    return list(FrameCutter().feed(b"".join(packed)))


def take_in(memory: SharedMemory, sent: list[memoryview]) -> list[memoryview]:
    frames = []
    for one in sent:
        if kind_of_frame(one) == BLOCK:
            frames += list(whole_frames(memory.block(one)))
        elif kind_of_frame(one) == UNUSED:
            memory.free(one)
        else:
            frames.append(one)
    return frames


@given(st.lists(st.lists(st.binary(max_size=3000), max_size=6), max_size=12))
def test_frames_arrive_unchanged_and_their_memory_is_freed(
    writes: list[list[bytes]],
) -> None:
    pair = Pair()
    kept, sent = [], []
    for bodies in writes:
        frames = [frame(body) for body in bodies]
        sent += frames
        kept += pair.carry(*frames)
    # Only now: no write may overwrite a block that is in use.
    assert [bytes(one) for one in kept] == sent
    kept.clear()
    pair.answer()
    assert pair.is_free(pair.near)
    assert pair.is_free(pair.far)


@pytest.mark.parametrize("pieces", [1, 3, 4000], ids=["one", "few", "many"])
def test_buffers_are_joined(pieces: int) -> None:
    whole = frame(bytes(range(256)) * 200)
    size = -(-len(whole) // pieces)
    buffers = [whole[at : at + size] for at in range(0, len(whole), size)]
    (came,) = Pair().carry(*buffers)
    assert came == whole


def test_small_frames_stay_in_the_stream() -> None:
    pair = Pair(share_from=1000)
    small, large = frame(bytes(900)), frame(bytes(992))
    assert len(small) < 1000 <= len(large)
    assert pair.near.pack([small], len(small)) == [small]
    assert kind_of_frame(memoryview(pair.near.pack([large], len(large))[0])) == BLOCK


def test_frames_stay_in_the_stream_if_the_memory_is_full() -> None:
    pair = Pair()
    half = frame(bytes(HALF // 2 - 8))
    kept = pair.carry(half), pair.carry(half)
    assert pair.near.pack([half], len(half)) == [half]
    kept = kept[:1]  # type: ignore[assignment]  # one is released
    pair.answer()
    assert kind_of_frame(memoryview(pair.near.pack([half], len(half))[0])) == BLOCK
    assert bytes(kept[0][0]) == half


def test_a_frame_larger_than_the_memory_stays_in_the_stream() -> None:
    pair = Pair()
    larger = frame(bytes(HALF))
    (came,) = pair.carry(larger)
    assert came == larger
    assert pair.is_free(pair.near)


def test_an_array_over_a_frame_keeps_its_block() -> None:
    pair = Pair()
    numbers = np.arange(500.0)
    (came,) = pair.carry(frame(numbers.tobytes()))
    array = np.frombuffer(came[8:], np.float64)[100:]
    del came
    pair.answer()
    assert not pair.is_free(pair.near)
    (other,) = pair.carry(frame(bytes(4000)))
    assert np.array_equal(array, numbers[100:])
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1.0
    del array, other
    pair.answer()
    assert pair.is_free(pair.near)


def test_much_unused_memory_is_reported_at_once() -> None:
    pair = Pair()
    reported: list[int] = []
    pair.far.notify = lambda: reported.append(len(pair.far.unused))
    eighth = frame(bytes(HALF // 8 - 8))
    for _ in range(4):
        pair.carry(eighth)
    assert reported == [2]  # at a quarter of the memory, once
    pair.answer()
    pair.carry(eighth)
    assert reported == [2]
    pair.carry(eighth)
    assert reported == [2, 2]


def test_any_thread_may_release_a_block() -> None:
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
    assert pair.is_free(pair.near)


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
def test_impossible_blocks_are_refused(start: int, nbytes: int, message: str) -> None:
    pair = Pair()
    with pytest.raises(WireError, match=message):
        list(whole_frames(pair.far.block(memoryview(encode_block(start, nbytes)))))


@given(st.binary(min_size=1, max_size=200))
def test_bytes_of_a_block_are_frames_or_a_wire_error(content: bytes) -> None:
    pair = Pair(share_from=1)
    (block,) = send(pair.near, [content])
    try:
        frames = [bytes(one) for one in whole_frames(pair.far.block(block))]
    except WireError:
        pass
    else:
        assert b"".join(frames) == content


def test_a_block_in_use_cannot_be_sent_again() -> None:
    pair = Pair()
    (block,) = send(pair.near, [frame(bytes(500))])
    kept = pair.far.block(block)
    with pytest.raises(WireError, match="sent again while it is in use"):
        pair.far.block(block)
    del kept
    assert pair.far.block(block) == frame(bytes(500))


def test_only_allocated_blocks_can_be_freed() -> None:
    pair = Pair()
    pair.carry(frame(bytes(500)))
    (unused, _) = send(pair.far, [frame(b"")])
    assert decode_unused(unused) == (0,)
    pair.near.free(unused)
    for again in (unused, memoryview(encode_unused([64]))):
        with pytest.raises(WireError, match="no block at"):
            pair.near.free(again)


u64 = st.integers(0, 2**64 - 1)


def whole(frame: bytes) -> memoryview:
    (cut,) = FrameCutter().feed(frame)
    assert len(cut) % 8 == 0
    return cut


@given(u64, u64)
def test_block_frames_come_back(start: int, nbytes: int) -> None:
    frame = whole(encode_block(start, nbytes))
    assert kind_of_frame(frame) == BLOCK
    assert decode_block(frame) == (start, nbytes)


@given(st.lists(u64, max_size=20))
def test_unused_frames_come_back(starts: list[int]) -> None:
    frame = whole(encode_unused(starts))
    assert kind_of_frame(frame) == UNUSED
    assert decode_unused(frame) == tuple(starts)


@given(st.binary(min_size=8, max_size=60))
def test_block_frames_of_other_lengths_are_refused(body: bytes) -> None:
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
