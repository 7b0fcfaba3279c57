import time

from benchmarks.closed_loop import CheckedRequest, ClosedLoop, Tally

from tests.benchmarks.peer import Peer, Reaction, answer, hang_up, ignore

REQUESTS = [CheckedRequest(b"good", 200, b"[0]"), CheckedRequest(b"bad", 500)]


def run(*reactions: Reaction, seconds: float = 5) -> tuple[Tally, list[bytes]]:
    """Send over one connection; the last reaction applies to all further requests."""
    with Peer(lambda number: reactions[min(number, len(reactions) - 1)]) as peer:
        loop = ClosedLoop(peer.url, REQUESTS, connections=1, grace_s=0.1)
        return loop.run(seconds), peer.requests


def test_requests_are_sent_in_turn_and_answers_checked() -> None:
    right, other_body = answer(200), answer(200, b"[10]")
    tally, requests = run(right, answer(500, b"why"), other_body, right, hang_up)
    assert requests == [b"good", b"bad", b"good", b"bad", b"good"]
    assert (tally.right, tally.wrong, tally.lost) == (2, 2, 1)


def test_request_without_an_answer_is_lost() -> None:
    tally, _ = run(answer(200), ignore, seconds=0.3)
    assert (tally.right, tally.wrong, tally.lost) == (1, 0, 1)


def test_rate_counts_right_answers() -> None:
    began = time.monotonic()
    tally, requests = run(answer(200), seconds=0.3)
    assert tally.lost == 0
    assert tally.right + tally.wrong == len(requests)
    assert 0.2 < tally.right / tally.per_s < time.monotonic() - began
