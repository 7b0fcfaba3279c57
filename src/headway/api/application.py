"""What an API worker serves: the user's endpoints and Headway's own pages.

http/connection passes it requests; it finds the endpoint or page by path.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from headway.api.endpoint import Endpoint
from headway.errors import HeadwayError, MethodNotAllowedError, RouteNotFoundError
from headway.http.request import Answer, Request, error_answer

_log = logging.getLogger(__name__)

Page = Answer | Callable[[Request], Awaitable[Answer]]
"""The answer of one of Headway's own pages, or what returns it for each request."""

_PAGE_METHODS = ("GET", "HEAD", "OPTIONS")
_API_METHODS = ("POST", "OPTIONS")


class ApiApplication:
    """Routes requests by their path.

    Args:
        endpoints: By path.
        pages: By path; their methods are GET and HEAD.
        loop: Runs the pages.
    """

    def __init__(
        self,
        *,
        endpoints: Mapping[str, Endpoint],
        pages: Mapping[str, Page],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._endpoints = dict(endpoints)
        self._pages = dict(pages)
        self._loop = loop
        self._serving: set[asyncio.Task[None]] = set()

    def handle(self, request: Request) -> None:
        """Serve a request: it is answered now or later."""
        endpoint = self._endpoints.get(request.path)
        if endpoint is None:
            self._handle_page(request)
        elif request.method == "POST":
            endpoint.handle(request)
        else:
            self._respond_other_method(request, _API_METHODS)

    def serves(self, path: str) -> bool:
        """Return whether there is an API or a page at the path."""
        return path in self._endpoints or path in self._pages

    def reject(self, error: HeadwayError, request: Request) -> Answer:
        """Render an error of the HTTP protocol itself."""
        return error_answer(error, request)

    def _respond_other_method(self, request: Request, allow: tuple[str, ...]) -> None:
        if request.method == "OPTIONS":
            allowed = ", ".join(allow).encode()
            request.respond(HTTPStatus.NO_CONTENT, b"", b"", ((b"allow", allowed),))
            return
        error = MethodNotAllowedError(
            f"{request.path} takes {' and '.join(allow)}, not {request.method}",
            allow=allow,
        )
        request.respond(*error_answer(error, request))

    def _handle_page(self, request: Request) -> None:
        page = self._pages.get(request.path)
        if page is None:
            paths = ", ".join(sorted(self._endpoints)) or "none"
            error = RouteNotFoundError(
                f"nothing is served at {request.path}; the APIs are {paths}"
            )
            request.respond(*error_answer(error, request))
        elif request.method not in ("GET", "HEAD"):
            self._respond_other_method(request, _PAGE_METHODS)
        elif isinstance(page, tuple):
            request.respond(*page)
        else:
            task = self._loop.create_task(_serve_page(page, request))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)


async def _serve_page(
    page: Callable[[Request], Awaitable[Answer]], request: Request
) -> None:
    try:
        answer = await page(request)
    except Exception:  # noqa: BLE001 - a page's fault is answered like any other
        _log.exception("the page %s failed", request.path)
        error = HeadwayError("the page failed; the log has the traceback")
        request.respond(*error_answer(error, request))
        return
    request.respond(*answer)
