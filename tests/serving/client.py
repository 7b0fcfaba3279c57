"""A small HTTP/1.1 client with one keep-alive connection, whose loss tests can see."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

__all__ = ["Connection", "Response", "request"]


class Response(NamedTuple):
    """An answer; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error that the body holds, which has the one form of all errors."""
        assert self.headers["content-type"] == "application/json", self
        envelope = self.json()
        assert list(envelope) == ["error"], self
        error: dict[str, Any] = envelope["error"]
        assert set(error) - {"request_id"} == {"code", "message", "id"}, self
        return error


class Connection:
    """A keep-alive connection to a server on this machine."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=2**24))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return  # the server closed first

    def send(
        self,
        path: str,
        body: bytes | str | Any = b"",
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send a request; a body that is no bytes or text is sent as JSON."""
        if not isinstance(body, bytes | str):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        fields = {"host": "localhost", **(headers or {})}
        if body or method == "POST":
            fields["content-length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)

    async def receive(self) -> Response:
        """Return the next answer.

        Raises:
            asyncio.IncompleteReadError: If the server closed before its end.
            ConnectionError: If the connection was reset.
        """
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status_line, *lines = head.split("\r\n")[:-2]
        headers = {}
        for line in lines:
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        length = int(headers.get("content-length", 0))
        body = await self._reader.readexactly(length)
        return Response(int(status_line.split(" ")[1]), headers, body)

    async def request(
        self,
        path: str,
        body: bytes | str | Any = b"",
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send a request and return its answer."""
        self.send(path, body, method=method, headers=headers)
        return await self.receive()


async def request(
    port: int,
    path: str,
    body: bytes | str | Any = b"",
    *,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Ask once, on a connection of its own."""
    async with asyncio.timeout(15), await Connection.open(port) as connection:
        return await connection.request(path, body, method=method, headers=headers)
