"""Servers in one process that give each other connections, and a client to ask them."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from headway.http.balance import BalanceRules
from headway.http.balancer import ConnectionBalancer
from headway.http.protocol import HttpProtocol
from headway.http.shared_load_table import SharedLoadTable
from headway.metrics import Counter
from tests.http.edge import Client, Edge, serving

NEVER = BalanceRules(interval_s=3600.0, answer_s=5.0)


"""The tests say what moves."""


class Worker:
    """A server and its part in the balance; several are in one process here."""

    def __init__(self, index: int, folder: Path, rules: BalanceRules) -> None:
        self._cells = memoryview(bytearray(8)).cast("q")
        self.path = str(folder / f"n{index}")
        self.board = SharedLoadTable(path=folder / "load", index=index, places=3)
        self.neighbours = ConnectionBalancer(
            index=index,
            paths=[str(folder / f"n{number}") for number in range(3)],
            board=self.board,
            rules=rules,
            moved=Counter(self._cells, 0),
        )
        self.edge: Edge

    @property
    def moved(self) -> int:
        return self._cells[0]

    @property
    def connections(self) -> list[HttpProtocol]:
        return list(self.edge.server._edge.connections)

    def give_all(self, neighbour: int) -> None:
        for connection in self.connections:
            if connection.may_leave(self.edge.clock.now(), 0.0):
                self.neighbours.give(connection, neighbour)


@asynccontextmanager
async def workers(
    folder: Path, count: int = 2, rules: BalanceRules = NEVER
) -> AsyncIterator[list[Worker]]:
    made = [Worker(index, folder, rules) for index in range(count)]
    async with AsyncExitStack() as stack:
        for worker in made:
            worker.edge = await stack.enter_async_context(
                serving(neighbours=worker.neighbours)
            )
        yield made
    assert not set(os.listdir(folder)) & {"n0", "n1", "n2"}


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
