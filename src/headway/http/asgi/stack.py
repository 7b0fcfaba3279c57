"""A service's middleware around its APIs and mounts: one ASGI application.

assemble makes it for a service that has any, and for `headway.asgi_app`. Starlette
routes between mounts; API workers that have none never import it.
"""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

from headway.errors import StartError
from headway.http.asgi.bridge import AsgiApp, Receive, Scope, Send, path_below_root
from headway.http.asgi.lifespan import Lifespan
from headway.service.service import Middleware, Mount

__all__ = ["AsgiStack"]


class AsgiStack:
    """Serves ASGI requests: the APIs' own paths first, then the mounts'.

    Args:
        middleware: The first is the outermost.
        mounts: Of two that fit a path, the first gets it.
        apis: Serves the rest, which is answered 404.
        is_own: Tells the paths of the APIs and pages.
    """

    def __init__(
        self,
        *,
        middleware: Sequence[Middleware],
        mounts: Sequence[Mount],
        apis: AsgiApp,
        is_own: Callable[[str], bool],
    ) -> None:
        self._apis = apis
        self._is_own = is_own
        self._mounted = [_Mounted(mount) for mount in mounts]
        self._others = _route(self._mounted, apis) if mounts else apis
        self._outermost: AsgiApp = self._serve
        for layer in reversed(middleware):
            self._outermost = layer.factory(
                self._outermost, *layer.args, **layer.options
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or live through a lifespan."""
        await self._outermost(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._is_own(path_below_root(scope)):
            await self._apis(scope, receive, send)
        else:
            await self._others(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with AsyncExitStack() as living:
            try:
                for mounted in self._mounted:
                    lifespan = mounted.new_lifespan()
                    await lifespan.startup()
                    living.push_async_callback(lifespan.shutdown)
            except StartError as error:
                message = error.message
                await send({"type": "lifespan.startup.failed", "message": message})
                return
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


class _Mounted:
    """A mounted application, whose requests see the state of its own lifespan."""

    def __init__(self, mount: Mount) -> None:
        self.mount = mount
        self._lifespan = self.new_lifespan()

    def new_lifespan(self) -> Lifespan:
        """Return a lifespan to begin; it has its state from now on."""
        name = f"the application mounted at {self.mount.path!r}"
        self._lifespan = Lifespan(self.mount.app, name)
        return self._lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        state = {**scope.get("state", {}), **self._lifespan.state}
        await self.mount.app({**scope, "state": state}, receive, send)


def _route(mounted: Sequence[_Mounted], apis: AsgiApp) -> AsgiApp:
    from starlette import routing

    routes = [
        routing.Mount(each.mount.path, app=each, name=each.mount.name)
        for each in mounted
    ]
    return routing.Router(routes, default=apis)
