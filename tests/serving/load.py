"""Clients that send requests without a pause until they are stopped."""

import asyncio
import time
from collections.abc import Mapping
from typing import NamedTuple, Self

from tests.serving.client import Connection, Response

__all__ = ["Answer", "Load"]


class Answer(NamedTuple):
    """The outcome of a request; `response` is None if its connection was lost."""

    response: Response | None
    sent_at: float
    took_s: float

    @property
    def status(self) -> int:
        """The answer's status; 0 without an answer."""
        return 0 if self.response is None else self.response.status


class Load:
    """Requests /crawl over many keep-alive connections and checks each answer.

    Args:
        port: Of the server.
        clients: Connections; each has one request under way.
        headers: Of each request.
    """

    def __init__(
        self,
        port: int,
        *,
        clients: int = 40,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._port = port
        self._clients = clients
        self._headers = headers
        self._is_over = False
        self._changed = asyncio.Event()
        self.answers: list[Answer] = []

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._client(i)) for i in range(self._clients)
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()
        await asyncio.wait_for(asyncio.gather(*self._tasks), 15)

    def stop(self) -> None:
        """End every client after its next answer."""
        self._is_over = True

    async def wait_answers(self, count: int, status: int = 200) -> None:
        """Wait for this many more answers of a status."""
        seen = len(self.answers)
        async with asyncio.timeout(15):
            while sum(a.status == status for a in self.answers[seen:]) < count:
                self._changed.clear()
                await self._changed.wait()

    async def _client(self, number: int) -> None:
        row = number * 1_000_000
        while not self._is_over:
            try:
                connection = await Connection.open(self._port)
            except ConnectionError:
                return  # the port is closed
            try:
                while not self._is_over:
                    row += 1
                    if not await self._ask(connection, row):
                        break
            finally:
                await connection.close()

    async def _ask(self, connection: Connection, row: int) -> bool:
        """Send a request; return whether the connection can be used again."""
        response: Response | None = None
        sent_at = time.monotonic()
        try:
            async with asyncio.timeout(15):
                response = await self._request(connection, row)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # an answer of its own kind: None
        self.answers.append(Answer(response, sent_at, time.monotonic() - sent_at))
        self._changed.set()
        if response is None:
            return False
        if response.status == 200:
            self._check(response, row)
        else:
            await asyncio.sleep(0.005)  # as a client would, though not as long
        return response.headers.get("connection") != "close"

    async def _request(self, connection: Connection, row: int) -> Response:
        return await connection.request("/crawl", [row], headers=self._headers)

    def _check(self, response: Response, row: int) -> None:
        assert response.json() == [2 * row]
