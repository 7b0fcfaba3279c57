"""One API endpoint: body to argument, the user's function, result to body.

api/application routes requests here; admission lets them in; the function reaches its
runners through api/runner_client.
"""

import asyncio
import inspect
import logging
import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from headway.api.admission import Admission
from headway.api.early_rejection import EarlyRejection
from headway.api.error_answer import render_error, signed
from headway.api.function_task import FunctionTask
from headway.api.request_options import HeaderOptions, asked_by
from headway.api.thread_pool import ThreadPool
from headway.core.clock import Clock
from headway.errors import (
    ApiFunctionError,
    DeadlineExceededError,
    HeadwayError,
    OutputError,
)
from headway.http.head import Headers
from headway.http.request import Request
from headway.metrics.meters import EndpointMeters
from headway.service.context import Context, RequestInfo
from headway.service.service import Api

__all__ = ["Endpoint", "ServedTask"]

_log = logging.getLogger(__name__)
_TYPES_KEPT = 64


class ServedTask(FunctionTask):
    """A request while it is served."""

    __slots__ = ("accept", "ctx", "endpoint", "has_left", "request", "slot")

    def __init__(
        self,
        endpoint: "Endpoint",
        request: Request,
        asked: HeaderOptions,
        deadline: float,
    ) -> None:
        FunctionTask.__init__(self, deadline, asked.priority, endpoint.loop)
        self.endpoint = endpoint
        self.request = request
        self.accept = asked.accept
        self.slot: Any = None
        self.ctx: Context | None = None
        self.has_left = False

    def expire(self) -> None:
        """Answer that the deadline has passed, and stop the function."""
        self.endpoint.answer_error(
            self.request,
            DeadlineExceededError(
                f"the request was not answered within its deadline "
                f"({self.deadline - self.request.received_at:g} s)"
            ),
        )
        self.hang_up()

    def hang_up(self) -> None:
        """Stop the function: nobody waits for its result."""
        if not self.has_left:
            self.endpoint.leave(self)
        self.cancel()

    def returned(self, value: Any) -> None:
        """Answer with the function's result."""
        endpoint = self.endpoint
        try:
            content_type, body = endpoint.encode(value, self.accept)
            kind = endpoint.types.get(content_type) or endpoint.type_of(content_type)
            if self.ctx is None:
                request = self.request
                request.respond(200, kind, body)
                endpoint.count(200, request)
            else:
                response = self.ctx.response
                headers = _header_pairs(response.headers)
                endpoint.answer(self.request, response.status_code, kind, body, headers)
            succeeded = True
        except Exception as error:  # noqa: BLE001 - a user's type may raise anything
            endpoint.answer_caught(self.request, error, value)
            succeeded = False
        endpoint.end(self, succeeded=succeeded)

    def raised(self, error: BaseException) -> None:
        """Answer with the function's error."""
        if isinstance(error, asyncio.CancelledError):
            # Ours: the client has gone or the deadline passed, and was answered.
            # The function's own: something it awaited was cancelled.
            error = ApiFunctionError("the API function was cancelled")
            self.endpoint.answer_error(self.request, error)
        else:
            self.endpoint.answer_caught(self.request, error, None)
        self.endpoint.end(self, succeeded=False)


class Endpoint:
    """Serves one API function.

    Attributes:
        task: Makes of a request what it is while it is served.

    Args:
        api: What to serve.
        admission: Lets requests in.
        pool: Runs the function if it is sync.
        meters: Count.
        clock: Times requests.
        loop: Runs the function.
        state: Shared by the contexts of this worker.
    """

    task: Callable[["Endpoint", Request, HeaderOptions, float], ServedTask] = ServedTask

    def __init__(
        self,
        *,
        api: Api,
        admission: Admission,
        pool: ThreadPool,
        meters: EndpointMeters,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        state: dict[str, Any],
    ) -> None:
        self._api = api
        self._admission = admission
        self._pool = pool
        self._meters = meters
        self._now = clock.now
        self.loop = loop
        self._state = state
        self._foresight = EarlyRejection()
        # Bound once for the hot path.
        self._task = self.task
        self._decode = api.input.decode
        self.encode = api.output.encode
        self._function = api.function if api.is_async else self._in_thread
        self._takes_value_only = api.takes_input and not api.takes_context
        self.types: dict[str, bytes] = {}
        """Content types as they are sent."""

    def handle(self, request: Request) -> None:
        """Serve a request: `respond` is called now or later."""
        admission, meters = self._admission, self._meters
        try:
            asked = request.head.notes.get(HeaderOptions) or asked_by(request)
            timeout_s = admission.timeout_s
            if asked.timeout_s < timeout_s:
                timeout_s = asked.timeout_s
            deadline = request.received_at + timeout_s
            if self._foresight.is_certain:
                refusal = self._foresight.refuse(deadline, asked.priority)
                if refusal is not None:
                    self.answer(request, *signed(refusal, request))
                    return
            served = self._task(self, request, asked, deadline)
            admission.enter(served)
        except HeadwayError as error:
            self.answer_error(request, error)
            return
        meters.serving += 1
        if not meters.is_due:
            meters.touch()
        try:
            value = self._decode(request.body, asked.content_type)
        except HeadwayError as error:
            self.leave(served)
            self.answer_error(request, error)
            return
        except Exception as error:  # noqa: BLE001 - a user's validator may raise anything
            self.leave(served)
            failure = ApiFunctionError("the input could not be validated")
            self.answer_error(request, self._logged(failure, error, request))
            return
        request.on_disconnect = served.hang_up
        args = (value,) if self._takes_value_only else self._arguments(served, value)
        served.start(self._function, args)

    def _arguments(self, served: ServedTask, value: Any) -> tuple[Any, ...]:
        args = (value,) if self._api.takes_input else ()
        if not self._api.takes_context:
            return args
        served.ctx = self._context(served.request)
        return (*args, served.ctx)

    async def _in_thread(self, *args: Any) -> Any:
        result = await self._pool.run(self._api.function, *args)
        # A sync wrapper around an async function returns what is to be awaited.
        return await result if inspect.isawaitable(result) else result

    def type_of(self, content_type: str) -> bytes:
        """Return a content type as it is sent, and keep it."""
        if len(self.types) >= _TYPES_KEPT:
            self.types.clear()
        kind = self.types[content_type] = content_type.encode()
        return kind

    def end(self, served: ServedTask, *, succeeded: bool) -> None:
        """Learn from what a function did, and let its request go."""
        if served.was_refused or served.first_call is not self._foresight.client:
            self._foresight.learn(served, succeeded=succeeded)
        if not served.has_left:
            self.leave(served)

    def answer_caught(
        self, request: Request, caught: BaseException, result: Any
    ) -> None:
        """Answer with what a function or its descriptor raised."""
        if not isinstance(caught, HeadwayError):
            failure = ApiFunctionError("the API function failed")
            self.answer_error(request, self._logged(failure, caught, request))
            return
        error = self._explained(caught, result)
        # A 500 is a fault in the service, so its author gets the traceback.
        is_fault = error.status == HTTPStatus.INTERNAL_SERVER_ERROR
        if is_fault:
            error = self._logged(error, error, request)
        self.answer_error(request, error)

    def _explained(self, error: HeadwayError, result: Any) -> HeadwayError:
        """Return the error, or what has led to it: a forgotten `await`."""
        if not (isinstance(error, OutputError) and inspect.iscoroutine(result)):
            return error
        result.close()  # else Python warns of it too, later and of somewhere else
        return OutputError(
            f"the API function {self._api.name!r} returned a coroutine "
            f"({result.__qualname__}) in place of its result: is an `await` missing, "
            "as in `return await runner.predict.async_run(x)`?"
        )

    def _context(self, request: Request) -> Context:
        headers = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in request.headers
        }
        info = RequestInfo(
            method=request.method,
            path=request.path,
            query=request.query,
            headers=headers,
        )
        journey = request.journey
        return Context(
            request=info,
            state=self._state,
            request_id=None if journey is None else journey.request_id or None,
        )

    def _logged(
        self, error: HeadwayError, cause: BaseException, request: Request
    ) -> HeadwayError:
        """Return the error with an id, under which the log has the traceback."""
        journey, extra = request.journey, None
        if journey is not None and journey.request_id:
            # Not left to the context: this may run amid another request's work.
            extra = {"request_id": journey.request_id}
        if error.error_id is None:
            error_id = uuid.uuid4().hex[:12]
            _log.error(
                "API %r failed, error id %s",
                self._api.name,
                error_id,
                exc_info=cause,
                extra=extra,
            )
            error = type(error)(
                f"{error.message}; the log has the traceback under error id {error_id}",
                error_id=error_id,
            )
        elif extra is not None:
            # The runner, whose log has the traceback, does not know the request.
            _log.error("API %r: %s", self._api.name, error.message, extra=extra)
        return error

    def leave(self, served: ServedTask) -> None:
        """Note that a request is served no longer."""
        served.has_left = True
        self._admission.leave(served)
        meters = self._meters
        meters.serving -= 1
        if not meters.is_due:
            meters.touch()

    def answer_error(self, request: Request, error: HeadwayError) -> None:
        """Answer with an error, unless there was an answer already."""
        if request.responder is not None:
            self.answer(request, *signed(render_error(error), request))

    def answer(
        self,
        request: Request,
        status: int,
        content_type: bytes,
        body: bytes,
        headers: Headers = (),
    ) -> None:
        """Answer, and count that."""
        request.respond(status, content_type, body, headers)
        self.count(status, request)

    def count(self, status: int, request: Request) -> None:
        """Count an answer."""
        meters = self._meters
        meters.answers.append((status, self._now() - request.received_at))
        if not meters.is_due:
            meters.touch()


def _header_pairs(headers: dict[str, str]) -> Headers:
    return tuple(
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in headers.items()
    )
