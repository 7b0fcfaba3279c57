"""The access log: a record for each request, once it is answered.

Journeys note answers here if `logging.access` is on. What one turn of the event loop
has answered goes to the writer's thread together, and the loop waits for nobody.
"""

import asyncio
import time

from headway.api.access_writer import AccessEntry, AccessWriter
from headway.http.request import Request

__all__ = ["GONE", "AccessLog"]

GONE = 499
"""Logged in place of a status if the client hung up before its answer."""


class AccessLog:
    """Collects what a turn of the event loop has answered.

    Args:
        writer: Writes it.
        loop: Whose turns are meant.
    """

    def __init__(
        self, *, writer: AccessWriter, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._writer = writer
        self._loop = loop
        self._entries: list[AccessEntry] = []

    def start(self) -> None:
        """Begin to write."""
        self._writer.start()

    async def aclose(self) -> None:
        """Write what is left, if that takes no longer than it may."""
        self._hand_over()
        await self._writer.aclose()

    def note(
        self,
        request: Request,
        status: int,
        length: int,
        seconds: float,
        request_id: str,
    ) -> None:
        """Note an answer.

        Args:
            request: What was asked.
            status: Of the answer, or GONE.
            length: Bytes of its body.
            seconds: From the request's last byte to its answer.
            request_id: The request's name.
        """
        # What was refused before its head could be read has no path.
        method, path = (request.method, request.path) if request.path else ("-", "-")
        if not self._entries:
            self._loop.call_soon(self._hand_over)
        self._entries.append(
            AccessEntry(time.time(), method, path, status, length, seconds, request_id)
        )

    def _hand_over(self) -> None:
        entries, self._entries = self._entries, []
        if entries:
            self._writer.offer(entries)
