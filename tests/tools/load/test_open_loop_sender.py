"""The sender against a server that answers, refuses, stalls, hangs up or is silent."""

import asyncio
import itertools
import select
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from headway.tools.load.arrivals import Constant
from headway.tools.load.open_loop_sender import (
    ConnectionLimits,
    OpenLoopRequest,
    OpenLoopSender,
    WaitFunctions,
)
from tests.benchmarks.peer import Peer, Reaction, Stall, answer, hang_up, ignore

TURNS = WaitFunctions(
    epoll=select.epoll,
    select=select.select,
    select_cooperatively=select.select,
    yield_to_others=lambda: None,
)
PER_S = 1000
COUNT = 400


class Visitor:
    """Keeps the results of its requests."""

    def __init__(self) -> None:
        self.request = OpenLoopRequest("/predict", [1])
        self.outcomes: list[tuple[float, float, str]] = []
        self.stop = threading.Event()

    def next_request(self) -> OpenLoopRequest:
        return self.request

    def failure_of(self, status: int, body: bytes) -> str | None:
        return None if status == 200 else str(status)

    def is_stopping(self) -> bool:
        return self.stop.is_set()

    def report(
        self,
        request: OpenLoopRequest,
        began: float,
        took_s: float,
        length: int,
        failure: str,
    ) -> None:
        self.outcomes.append((began, took_s, failure))

    @property
    def failures(self) -> Counter[str]:
        return Counter(failure for _, _, failure in self.outcomes)


def send(
    url: str,
    *,
    connections: int = 8,
    most: int = 300,
    timeout_s: float = 5.0,
    times: Iterator[float] | None = None,
    visitor: Visitor | None = None,
) -> Visitor:
    visitor = visitor or Visitor()
    OpenLoopSender(
        origin=url.removesuffix("/predict"),
        times=times or itertools.islice(Constant(PER_S).times(), COUNT),
        limits=ConnectionLimits(connections, most, timeout_s),
        source=visitor,
        waits=TURNS,
    ).run()
    return visitor


def test_each_request_is_sent_once_when_due() -> None:
    with Peer(lambda _: answer(200)) as peer:
        visitor = send(peer.url)
        assert set(peer.requests) == {
            visitor.request.bytes_for(peer.url.removesuffix("/predict"))
        }
    assert visitor.failures == {"": COUNT}
    dues = sorted(began for began, _, _ in visitor.outcomes)
    assert dues[-1] - dues[0] == pytest.approx((COUNT - 1) / PER_S)
    assert all(took > 0 for _, took, _ in visitor.outcomes)


def test_each_request_is_reported_with_its_result() -> None:
    kinds: list[int | Reaction] = [200, 200, 503, 404, hang_up, ignore]

    def reactions(number: int) -> Reaction:
        kind = kinds[number % len(kinds)]
        return answer(kind) if isinstance(kind, int) else kind

    with Peer(reactions) as peer:
        visitor = send(peer.url, most=200, timeout_s=1.0)
        came = len(peer.requests)
    expected = Counter(str(kinds[number % len(kinds)]) for number in range(came))
    found = visitor.failures
    assert found.total() == COUNT
    assert found[""] == expected["200"]
    assert found["503"] == expected["503"]
    assert found["404"] == expected["404"]
    assert found["no answer in time"] == expected[str(ignore)]
    lost = found.total() - sum(
        found[key] for key in ("", "503", "404", "no answer in time", "never sent")
    )
    assert lost == expected[str(hang_up)]


def test_stall_delays_all_requests_due_during_it() -> None:
    stalled = Stall(0.1)
    with Peer(lambda number: stalled if number == 20 else answer(200)) as peer:
        visitor = send(peer.url)
    assert visitor.failures == {"": COUNT}
    during = [
        (began, took)
        for began, took, _ in visitor.outcomes
        if stalled.began <= began < stalled.over
    ]
    assert len(during) > 50
    assert all(began + took >= stalled.over for began, took in during)


def test_wait_for_a_connection_counts_as_latency() -> None:
    stalled = Stall(0.1)
    with Peer(lambda number: stalled if number == 20 else answer(200)) as peer:
        visitor = send(peer.url, connections=2, most=4)
        assert len(peer.requests) == COUNT
    waited = [
        took
        for began, took, _ in visitor.outcomes
        if stalled.began <= began < stalled.over
    ]
    assert len(waited) > 50
    assert max(waited) > 0.09


def test_request_without_a_connection_fails_after_the_timeout() -> None:
    with Peer(lambda _: ignore) as peer:
        visitor = send(peer.url, connections=2, most=2, timeout_s=0.1)
    assert visitor.failures.total() == COUNT
    assert set(visitor.failures) == {"no answer in time", "never sent"}
    assert visitor.failures["never sent"] > 100


def test_each_request_fails_if_no_server_listens(free_port: int) -> None:
    visitor = send(f"http://127.0.0.1:{free_port}")
    assert visitor.failures == {"connection refused": COUNT}


@pytest.mark.parametrize(
    ("head", "failure"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", "no Content-Length"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0", ""),
    ],
)
def test_chunked_and_closing_answers(head: bytes, failure: str) -> None:
    def reaction(number: int) -> Reaction:
        def do(transport: asyncio.Transport) -> None:
            transport.write(head + b"\r\n\r\n")

        return do

    with Peer(reaction) as peer:
        visitor = send(peer.url, times=iter([0.0, 0.01, 0.02]))
        assert len(peer.requests) == 3
    assert len(visitor.outcomes) == 3
    assert all(
        said.endswith(failure) and bool(said) == bool(failure)
        for _, _, said in visitor.outcomes
    )


def test_large_bodies_in_both_directions() -> None:
    body = b"x" * 3_000_000
    came = bytearray()  # of the request, which comes in pieces

    class Eater(Peer):
        def came(self, transport: asyncio.Transport, request: bytes) -> None:
            came.extend(request)
            if len(came) >= len(wire):
                came.clear()
                transport.write(
                    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
                )

    visitor = Visitor()
    visitor.request = OpenLoopRequest("/predict", body)
    with Eater(lambda _: ignore) as peer:
        wire = visitor.request.bytes_for(peer.url.removesuffix("/predict"))
        send(peer.url, times=iter([0.0]), visitor=visitor)
    assert visitor.failures == {"": 1}


def test_stopping_user_waits_for_its_answers() -> None:
    visitor = Visitor()

    def reactions(number: int) -> Reaction:
        if number == 50:
            visitor.stop.set()
        return answer(200)

    with Peer(reactions) as peer:
        send(peer.url, times=Constant(PER_S).times(), visitor=visitor)
        came = len(peer.requests)
    assert visitor.failures == {"": came}


def test_killed_user_reports_hanging_requests() -> None:
    visitor = Visitor()
    began = time.monotonic()

    def killing() -> None:
        if time.monotonic() > began + 1.8:
            raise KeyboardInterrupt

    waits = TURNS._replace(yield_to_others=killing)
    times: Callable[[], Iterator[float]] = Constant(100).times
    with Peer(lambda _: ignore) as peer, pytest.raises(KeyboardInterrupt):
        OpenLoopSender(
            origin=peer.url.removesuffix("/predict"),
            times=times(),
            limits=ConnectionLimits(2, 1000, 30.0),
            source=visitor,
            waits=waits,
        ).run()
    assert set(visitor.failures) == {"no answer until the end"}
    assert all(took > 1.0 for _, took, _ in visitor.outcomes)
