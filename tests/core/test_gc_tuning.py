"""Requests leave no garbage to collect, which would take a collection's time.

Served, refused, late and abandoned requests are freed with the last reference to them;
a cycle would keep them until a collection of all live objects.
"""

import asyncio
import contextlib
import gc
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from headway.api.request_options import RequestOptions
from headway.errors import HeadwayError
from headway.http.request import Request
from headway.observability.request_trace import RequestTrace
from tests.api.edge import Edge
from tests.runner.full_path import SPECS, Model, embedded


class Slow(Model):
    """Takes 2 ms."""

    def predict(self, x: Any) -> Any:
        time.sleep(0.002)
        return super().predict(x)


@contextlib.contextmanager
def uncollected() -> Iterator[Counter[str]]:
    """Count what of ours only a collection finds, by its class."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        kinds = (Request, RequestTrace, RequestOptions, asyncio.Task, HeadwayError)
        found.update(type(one).__name__ for one in gc.garbage if isinstance(one, kinds))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def test_a_cycle_would_be_found() -> None:
    with uncollected() as found:
        error = HeadwayError("in a cycle")
        error.args = (error,)
        del error
    assert found == {"HeadwayError": 1}


@pytest.mark.parametrize("traced", [False, True], ids=["plain", "traced"])
async def test_requests_leave_no_garbage(traced: bool) -> None:
    model = Slow()
    async with embedded(model, max_rows=4) as (client, _):

        async def predict(row: float) -> Any:
            x = np.array([row])
            return (await client.call(SPECS["predict"], (x,), {})).tolist()

        edge = Edge(predict, traced=traced)
        with uncollected() as found:
            for _ in range(30):  # served, a few at a time
                for row in range(5):
                    edge.send(b"%d" % row)
                await edge.answered()
            assert edge.statuses == {200: 150}
            while edge.statuses[503] <= 200:  # more than can be served in their time
                for row in range(200):
                    edge.send(b"%d" % row, b"headway-timeout-ms: 30\r\n")
                await edge.answered()
            assert edge.statuses.keys() <= {200, 503, 504}
            for _ in range(10):  # faults of the client, and of the model
                edge.send(b"no JSON")
                edge.send(b"1", b"headway-priority: high\r\n")
                edge.send(b"-1")
                await edge.answered()
            assert (edge.statuses[400], edge.statuses[500]) == (20, 10)
            edge.send(b"1")  # the backlog is over, so nobody is refused at once
            await edge.answered()
            model.gate.clear()  # late, being computed or waiting
            before = edge.statuses[504]
            for row in range(40):
                edge.send(b"%d" % row, b"headway-timeout-ms: 20\r\n")
            await edge.answered()
            assert edge.statuses[504] > before
            model.gate.set()
            before = edge.statuses.total()
            for row in range(50):  # gone before, and after, their function began
                gone = edge.send(b"%d" % row)
                if row % 2:
                    await asyncio.sleep(0)
                edge.hang_up(gone)
            del gone
            edge.send(b"1")
            await edge.answered()
        assert found == {}
        assert edge.statuses.total() == before + 1
        assert edge.limit.serving == 0
        edge.close()
