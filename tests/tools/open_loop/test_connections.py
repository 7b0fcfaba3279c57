from hypothesis import given
from hypothesis import strategies as st

from headway.tools.open_loop.connections import (
    address,
    answer_bytes,
    request_bytes,
    status_of,
)


@given(
    status=st.integers(100, 999),
    body=st.binary(max_size=200),
    name=st.sampled_from(["content-length", "Content-Length"]),
    data=st.data(),
)
def test_length_of_a_partial_answer(
    status: int, body: bytes, name: str, data: st.DataObject
) -> None:
    head = f"HTTP/1.1 {status} Reason\r\nA: b\r\n{name}: {len(body)}\r\nC: d\r\n\r\n"
    whole = head.encode() + body
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert status_of(whole) == status
    assert answer_bytes(whole) == len(whole)
    assert answer_bytes(whole + b"HTTP/1.1") == len(whole)
    assert answer_bytes(whole[:cut]) in (0, len(whole))


def test_content_length_counts_bytes() -> None:
    url = "http://127.0.0.1:3000/predict"
    assert address(url) == ("127.0.0.1", 3000)
    head, body = request_bytes(url, '"ü"'.encode(), {"A": "b"}).split(b"\r\n\r\n")
    assert head.startswith(b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:3000\r\n")
    assert b"\r\nA: b\r\n" in head
    assert head.endswith(b"\r\nContent-Length: 4")
    assert body.decode() == '"ü"'
