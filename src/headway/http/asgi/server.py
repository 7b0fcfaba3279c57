"""A server together with the lifespan of the ASGI application that it serves.

assemble_server makes it for api.worker, in place of a bare http.server.
"""

from headway.http.asgi.bridge import AsgiApp
from headway.http.asgi.lifespan import Lifespan
from headway.http.server import HttpServer

__all__ = ["AsgiServer"]


class AsgiServer:
    """Starts the application before the server, and ends it after.

    Args:
        app: The application.
        lifespan: Its own.
        native: Serves it; None: another ASGI server does.
    """

    def __init__(
        self, *, app: AsgiApp, lifespan: Lifespan, native: HttpServer | None
    ) -> None:
        self.app = app
        self._lifespan = lifespan
        self._native = native

    async def start(self) -> None:
        """Start the application, then listen.

        Raises:
            StartError: If the application says that it cannot start.
        """
        await self._lifespan.startup()
        if self._native is not None:
            await self._native.start()

    async def drain(self, timeout_s: float) -> None:
        """Answer what was accepted, then let the application end."""
        if self._native is not None:
            await self._native.drain(timeout_s)
        await self._lifespan.shutdown(timeout_s)

    async def aclose(self) -> None:
        """Drop what is left."""
        if self._native is not None:
            await self._native.aclose()
        await self._lifespan.aclose()
