"""API workers in one process that move connections to each other, and a client."""

import math
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from headway.http import balancer
from headway.http.balancer import ConnectionBalancer, may_move
from headway.http.connection import Connection
from headway.http.load_table import SharedLoadTable
from headway.metrics import Counter
from headway.metrics.families import CONNECTIONS_MOVED
from tests.http.edge import Client, Edge, serving

NEVER_S = 3600.0


class Worker:
    """A server and its balancer; the tests say what moves, unless given an interval."""

    def __init__(self, index: int, folder: Path) -> None:
        self._cells = memoryview(bytearray(8)).cast("q")
        paths = [str(folder / f"a{number}") for number in range(3)]
        self.path = paths[index]
        self.table = SharedLoadTable(path=folder / "load", index=index, workers=3)
        self.balancer = ConnectionBalancer(
            index=index,
            table=self.table,
            paths=paths,
            moved=Counter(self._cells, 0, CONNECTIONS_MOVED),
        )
        self.edge: Edge

    @property
    def moved(self) -> int:
        return self._cells[0]

    @property
    def connections(self) -> list[Connection]:
        return list(self.edge.server._state.connections)

    async def client(self) -> Client:
        """Connect a client, which has had its first answer: so it may be moved."""
        client = await self.edge.connect()
        await ask(client, b"first")
        return client

    def move_all(self, worker: int) -> None:
        for connection in self.connections:
            if may_move(connection, math.inf):
                self.balancer.move(connection, worker)


@asynccontextmanager
async def workers(
    folder: Path, count: int = 2, *, interval_s: float = NEVER_S, answer_s: float = 5.0
) -> AsyncIterator[list[Worker]]:
    made = [Worker(index, folder) for index in range(count)]
    async with AsyncExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(balancer, "_INTERVAL_S", interval_s)
        patch.setattr(balancer, "_ANSWER_S", answer_s)
        for worker in made:
            worker.edge = await stack.enter_async_context(
                serving(balancer=worker.balancer)
            )
        yield made
    assert not set(os.listdir(folder)) & {"a0", "a1", "a2"}


def post(body: bytes, path: str = "/") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (
        path.encode(),
        len(body),
        body,
    )


async def ask(client: Client, body: bytes) -> None:
    client.send(post(body))
    answer = await client.answer()
    assert (answer.status, answer.body) == (200, body)
