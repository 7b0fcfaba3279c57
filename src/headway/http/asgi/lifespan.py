"""Runs the start-up and the shutdown of an ASGI application.

api.worker runs that of all mounts and middleware so, which run each mount's.
"""

import asyncio
import logging
from typing import Any

from headway.errors import StartError
from headway.http.asgi.bridge import AsgiApp, Message

__all__ = ["Lifespan"]

_log = logging.getLogger(__name__)


class Lifespan:
    """One application's life; one that knows no lifespan protocol just has none.

    Args:
        app: The application.
        name: What messages call it.
        drop_s: Seconds that it has to end once it is cancelled.

    Attributes:
        state: What the application keeps for its requests.
    """

    def __init__(self, app: AsgiApp, name: str, *, drop_s: float = 5.0) -> None:
        self._app = app
        self._name = name
        self._drop_s = drop_s
        self._messages: asyncio.Queue[Message] = asyncio.Queue(maxsize=2)
        self._reply: asyncio.Future[Message] | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_up = False
        self.state: dict[str, Any] = {}

    async def startup(self) -> None:
        """Let the application start.

        Raises:
            StartError: It says that it has failed to.
        """
        self._task = asyncio.get_running_loop().create_task(self._run())
        try:
            reply = await self._ask("lifespan.startup")
        except asyncio.CancelledError:
            await self.aclose()
            raise
        if reply is None:
            _log.info("%s has no start-up of its own", self._name)
        elif reply["type"] == "lifespan.startup.failed":
            await self.aclose()
            message = reply.get("message") or "it does not say why"
            _log.error("%s cannot start: %s", self._name, message)
            # Of a traceback the last line says it.
            _, _, reason = message.rstrip().rpartition("\n")
            raise StartError(f"{self._name} cannot start: {reason}")
        self._is_up = reply is not None

    async def shutdown(self, timeout_s: float | None = None) -> None:
        """Let the application end, within a time."""
        try:
            async with asyncio.timeout(timeout_s):
                reply = await self._ask("lifespan.shutdown")
        except TimeoutError:
            _log.warning("%s has not ended within %g s", self._name, timeout_s)
        else:
            if reply is not None and reply["type"] == "lifespan.shutdown.failed":
                message = reply.get("message") or "it does not say why"
                _log.error("%s has failed to end: %s", self._name, message)
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Drop the application, whatever it does."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,), timeout=self._drop_s)
            if not self._task.done():
                _log.warning("%s does not let go, and is left behind", self._name)

    async def _ask(self, kind: str) -> Message | None:
        """Send a message and return the reply; None if the application has ended.

        At start-up that says that it knows no lifespan.
        """
        task = self._task
        if task is None or task.done():
            return None
        self._reply = asyncio.get_running_loop().create_future()
        self._messages.put_nowait({"type": kind})
        await asyncio.wait((self._reply, task), return_when=asyncio.FIRST_COMPLETED)
        return self._reply.result() if self._reply.done() else None

    async def _send(self, message: Message) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(message)

    async def _run(self) -> None:
        asgi = {"version": "3.0", "spec_version": "2.0"}
        scope = {"type": "lifespan", "asgi": asgi, "state": self.state}
        try:
            await self._app(scope, self._messages.get, self._send)
        except Exception:  # noqa: BLE001 - a user's application may raise anything
            level = logging.ERROR if self._is_up else logging.DEBUG
            _log.log(level, "%s: its lifespan raised", self._name, exc_info=True)
