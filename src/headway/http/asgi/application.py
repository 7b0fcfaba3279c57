"""The APIs and pages as an ASGI application, with the answers of the native server.

server/assembly puts it beneath a service's mounts and middleware
(http/asgi/stack). It turns each scope into a Request for api/application.
"""

import asyncio
import logging

from headway.config.schema import ApiServerConfig
from headway.core.clock import Clock
from headway.errors import HeadwayError, RequestError
from headway.http.asgi.bridge import TRACE_KEY, Receive, Scope, Send, path_below_root
from headway.http.head import CHUNKED, Head, Headers, join_fields
from headway.http.request import Answer, Application, Request
from headway.http.request_reader import body_too_large, too_slow
from headway.http.server_state import BODILESS

_log = logging.getLogger(__name__)


class AsgiApplication:
    """Serves ASGI requests by an application of the native server.

    Args:
        application: Answers.
        config: Limits of a body and of the time until it is complete.
        clock: Stamps requests.
    """

    def __init__(
        self, *, application: Application, config: ApiServerConfig, clock: Clock
    ) -> None:
        self._application = application
        self._config = config
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; web sockets are closed at once."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        head = _head(scope)
        fault: HeadwayError | None = None
        body: bytes | None = b""
        try:
            body = await self._read_body(head, receive)
        except RequestError as error:
            fault = error
        if body is None:
            return
        reply = _Reply()
        trace = scope.get(TRACE_KEY)
        request = Request(
            reply,
            head,
            head.method,
            head.path,
            body,
            self._clock.now(),
            trace=trace,
            is_nested=trace is not None,
        )
        if fault is None:
            try:
                self._application.handle(request)
            except Exception:  # noqa: BLE001 - the client gets its answer
                _log.exception("the application raised while it took a request")
                fault = HeadwayError("The server failed; the log says why.")
        if fault is not None:
            request.respond(*self._application.reject(fault, request))
        answer = await _await_answer(reply, request, receive)
        if answer is not None:
            await send_answer(answer, head.method, send)

    async def _read_body(self, head: Head, receive: Receive) -> bytes | None:
        """Return the body; None if the client has gone before its end.

        Raises:
            RequestError: It is too large, or too slow.
        """
        config = self._config
        if head.length > config.max_body_bytes:
            raise body_too_large(config)
        body = bytearray()
        try:
            async with asyncio.timeout(config.request_timeout_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    body += message.get("body", b"")
                    if len(body) > config.max_body_bytes:
                        raise body_too_large(config)
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError as error:
            raise too_slow(config) from error


class _Reply:
    """The answer to one request, once it is there."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[Answer] = (
            asyncio.get_running_loop().create_future()
        )

    def send_response(
        self,
        request: Request,
        status: int,
        content_type: bytes,
        body: bytes,
        headers: Headers,
    ) -> None:
        """Take the answer; `Request.respond` calls this."""
        if not self.answered.done():  # done: the server has dropped the request
            self.answered.set_result((status, content_type, body, headers))


async def _await_answer(
    reply: _Reply, request: Request, receive: Receive
) -> Answer | None:
    """Return the answer; None if the client disconnects first: its work is dropped."""
    answered = reply.answered
    if not answered.done():
        hung_up = asyncio.get_running_loop().create_task(_until_gone(receive))
        try:
            await asyncio.wait((answered, hung_up), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not answered.done():
                request.hang_up()
            hung_up.cancel()
            await asyncio.wait((hung_up,))
    return answered.result() if answered.done() else None


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_answer(answer: Answer, method: str, send: Send) -> None:
    """Send a whole answer to a request of that method."""
    status, content_type, body, others = answer
    headers: list[tuple[bytes, bytes]] = []
    if content_type:
        headers.append((b"content-type", content_type))
    headers.extend(others)
    if status not in BODILESS:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    has_body = method != "HEAD" and status not in BODILESS
    await send({"type": "http.response.body", "body": body if has_body else b""})


def _head(scope: Scope) -> Head:
    headers = tuple((bytes(name), bytes(value)) for name, value in scope["headers"])
    fields = join_fields(headers)
    length = fields.get(b"content-length", b"")
    return Head(
        method=scope["method"],
        path=path_below_root(scope),
        query=scope.get("query_string", b"").decode("latin-1"),
        headers=headers,
        fields=fields,
        length=int(length) if length.isdigit() else CHUNKED,
        is_http_11=scope.get("http_version") != "1.0",
        keep_alive=True,
    )
