"""FrameCutter: the frames of a stream, however the stream is chunked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import WireError
from headway.ipc.frames import LENGTH, MAX_FRAME_BYTES, FrameCutter


def frame(body: bytes) -> bytes:
    return LENGTH.pack(LENGTH.size + 4 + len(body)) + b"\x01\0\0\0" + body


def feed_all(cutter: FrameCutter, chunks: list[bytes]) -> list[bytes]:
    # Copied at the end only: earlier views must have stayed valid.
    views = [view for chunk in chunks for view in cutter.feed(chunk)]
    return [bytes(view) for view in views]


@given(st.lists(st.binary(max_size=40), max_size=10), st.data())
def test_any_chunking_gives_the_same_frames(
    bodies: list[bytes], data: st.DataObject
) -> None:
    frames = [frame(body) for body in bodies]
    stream = b"".join(frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    chunks = [
        stream[start:end]
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
    ]
    assert feed_all(FrameCutter(), chunks) == frames


def test_byte_by_byte() -> None:
    stream = frame(b"one") + frame(b"") + frame(b"three")
    cutter = FrameCutter()
    assert feed_all(cutter, [stream[i : i + 1] for i in range(len(stream))]) == [
        frame(b"one"),
        frame(b""),
        frame(b"three"),
    ]


def test_a_short_frame_after_a_long_one_does_not_wait() -> None:
    cutter = FrameCutter()
    long, short = frame(b"x" * 1000), frame(b"")
    stream = long + short
    # Cut in the long one, and in the length of the short one.
    chunks = [stream[:500], stream[500 : len(long) + 2], stream[len(long) + 2 :]]
    assert feed_all(cutter, chunks) == [long, short]


def test_a_frame_within_a_chunk_is_a_view_of_it() -> None:
    chunk = frame(b"one") + frame(b"two")
    views = list(FrameCutter().feed(chunk))
    assert [view.obj for view in views] == [chunk, chunk]


def test_an_incomplete_frame_waits() -> None:
    cutter = FrameCutter()
    assert feed_all(cutter, [frame(b"whole") + frame(b"part")[:-1]]) == [
        frame(b"whole")
    ]
    assert feed_all(cutter, [b"t"]) == [frame(b"part")]


@pytest.mark.parametrize("length", [0, 7, MAX_FRAME_BYTES + 1, 2**32 - 1])
@pytest.mark.parametrize("chunk_bytes", [1, 100])
def test_an_impossible_length_is_refused(length: int, chunk_bytes: int) -> None:
    stream = frame(b"fine") + LENGTH.pack(length) + bytes(20)
    cutter = FrameCutter()
    with pytest.raises(WireError, match=f"says that it is {length} bytes long"):
        feed_all(
            cutter,
            [stream[at : at + chunk_bytes] for at in range(0, 40, chunk_bytes)],
        )
