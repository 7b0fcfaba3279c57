"""The generator against a server that answers, refuses, stalls or hangs up."""

from collections import Counter

import msgspec
import numpy as np
import pytest

from headway.errors import TrafficError
from headway.tools.open_loop.generator import OpenLoop
from headway.tools.open_loop.traffic import (
    LOST,
    NOT_SENT,
    UNANSWERED,
    Phase,
    Traffic,
    send,
)
from tests.benchmarks.peer import Peer, Reaction, Stall, answer, hang_up, ignore

SECONDS = 0.5


def traffic(
    peer: Peer, *, connections: int = 200, most: int = 200, grace_s: float = 4.0
) -> Traffic:
    return Traffic(
        url=peer.url,
        body=b"[[5.1, 3.5, 1.4, 0.2]]",
        grace_s=grace_s,
        phases=(Phase(1000, SECONDS),),
        deadline_ms=200,
        connections=connections,
        max_connections=most,
    )


def test_each_request_is_counted_with_its_outcome() -> None:
    kinds = [200, 200, 200, 429, 503, 504, 500, 404, LOST, UNANSWERED]

    def reactions(number: int) -> Reaction:
        kind = kinds[number % len(kinds)]
        return {LOST: hang_up, UNANSWERED: ignore}.get(kind) or answer(kind)

    with Peer(reactions) as peer:
        outcomes = OpenLoop(traffic(peer, most=1000, grace_s=0.5)).run()
    count = len(outcomes.status)
    expected = Counter(kinds[number % len(kinds)] for number in range(count))
    assert count > 400
    assert len(peer.requests) == count
    assert Counter(outcomes.status.tolist()) == expected
    summary = outcomes.summary(SECONDS)
    assert summary.offered == count
    assert summary.in_time + summary.late == expected[200] + expected[504]
    assert summary.late >= expected[504]
    assert summary.refused == expected[429] + expected[503]
    assert summary.failed == expected[500] + expected[404]
    assert summary.lost == expected[LOST]
    assert summary.unanswered == expected[UNANSWERED]


def test_request_without_a_free_connection_is_not_sent() -> None:
    with Peer(lambda _: ignore) as peer:
        outcomes = OpenLoop(traffic(peer, connections=2, most=5, grace_s=0.1)).run()
    summary = outcomes.summary(SECONDS)
    assert len(peer.requests) == summary.unanswered == 5
    assert summary.not_sent == summary.offered - 5
    assert np.isnan(outcomes.sent[outcomes.status == NOT_SENT]).all()


def test_stall_delays_all_requests_scheduled_during_it() -> None:
    stalled = Stall(0.1)
    with Peer(lambda number: stalled if number == 20 else answer(200)) as peer:
        outcomes = OpenLoop(traffic(peer, most=1000)).run()
    assert (outcomes.status == 200).all()
    began, over = stalled.began - outcomes.began, stalled.over - outcomes.began
    during = outcomes.between(began, over)
    assert len(during.status) > 50
    assert (during.answered >= over).all()
    assert (during.latency_s >= over - during.scheduled).all()


def test_answers_after_the_deadline_are_late() -> None:
    with Peer(lambda number: Stall(0.3) if number == 20 else answer(200)) as peer:
        outcomes = OpenLoop(traffic(peer, most=1000)).run()
    summary = outcomes.summary(SECONDS)
    assert summary.late >= 50  # those scheduled in the first 100 ms of the stall
    assert summary.in_time == summary.offered - summary.late
    assert summary.ok_max_ms >= 300


def test_requests_carry_the_deadline_and_reuse_connections() -> None:
    with Peer(lambda _: answer(200)) as peer:
        planned = traffic(peer, connections=3)
        OpenLoop(planned).run()
        assert set(peer.requests) == {planned.request()}
    assert b"\r\nHeadway-Timeout-Ms: 200\r\n" in planned.request()


def test_child_process_sends_all_phases() -> None:
    with Peer(lambda _: answer(200)) as peer:
        planned = Traffic(
            url=peer.url,
            phases=(Phase(200, 0.5), Phase(1000, 0.5)),
            body=b"[]",
            connections=10,
        )
        outcomes = send(planned)
    assert outcomes.scheduled.tolist() == planned.schedule()
    assert len(peer.requests) == len(outcomes.status)
    assert (outcomes.status == 200).all()
    assert (outcomes.sent >= outcomes.scheduled).all()
    assert (outcomes.answered > outcomes.sent).all()
    calm, busy = (len(step.status) for step in outcomes.steps(0, 1, 0.5))
    assert 60 < calm < 140
    assert 400 < busy < 600


def test_run_ends_early_after_too_many_misses() -> None:
    def reactions(number: int) -> Reaction:
        return answer(503 if number > 300 else 200)

    with Peer(reactions) as peer:
        planned = msgspec.structs.replace(
            traffic(peer), phases=(Phase(1000, 0.2), Phase(1000, 10)), most_missed=0.01
        )
        outcomes = OpenLoop(planned).run()
    judged = outcomes.between(0.2, 10.2)
    answered = judged.status > 0
    # 200 ms after the request that was one too many.
    assert (judged.status == 503).sum() > 100
    assert answered.sum() < 5000
    assert (judged.status[~answered] <= 0).all()


def test_no_listening_server_is_one_line(free_port: int) -> None:
    planned = Traffic(
        url=f"http://127.0.0.1:{free_port}/", phases=(Phase(10, 0.1),), body=b"[]"
    )
    with pytest.raises(TrafficError, match=r"could not be sent: .*refused"):
        send(planned)
