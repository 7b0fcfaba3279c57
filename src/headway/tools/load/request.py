"""A request that an open-loop user sends, made into bytes once.

Who writes a locustfile makes them; open_loop_sender sends them.
"""

from collections.abc import Mapping

import msgspec

from headway.tools.open_loop.message import request_bytes

__all__ = ["Request"]


class Request:
    """One HTTP request, to be sent as often as you like.

    Args:
        path: Below the host's URL, with its query.
        body: Bytes as they are; anything else is sent as JSON.
        method: Of HTTP.
        content_type: Of the body.
        headers: Further ones.
        name: In Locust's statistics; None: the path.
    """

    __slots__ = ("_bytes", "_headers", "_origin", "body", "method", "name", "path")

    def __init__(
        self,
        path: str,
        body: object = b"",
        *,
        method: str = "POST",
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        name: str | None = None,
    ) -> None:
        self.path = path
        self.body = body if isinstance(body, bytes) else msgspec.json.encode(body)
        self.method = method
        self.name = name or path
        self._headers = {"Content-Type": content_type, **(headers or {})}
        self._origin = ""
        self._bytes = b""

    def bytes_for(self, origin: str) -> bytes:
        """Return what goes over the wire to a server, by its URL."""
        if origin != self._origin:
            self._bytes = request_bytes(
                origin + self.path, self.body, self._headers, self.method
            )
            self._origin = origin
        return self._bytes
