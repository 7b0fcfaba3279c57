"""One API endpoint: body to argument, the user's function, result to body.

api/application routes requests here; admission lets them in; the function reaches its
runners through api/runner_client.
"""

import asyncio
import inspect
import logging
import uuid
from http import HTTPStatus
from typing import Any

from headway.api.admission import Admission
from headway.api.error_answer import render_error
from headway.api.foresight import Foresight
from headway.api.meters import EndpointMeters
from headway.api.terms import TERMS, Terms, priority_of, timeout_of
from headway.api.thread_pool import ThreadPool
from headway.clock import Clock
from headway.context import Context, RequestInfo
from headway.errors import (
    ApiFunctionError,
    DeadlineExceededError,
    HeadwayError,
    OutputError,
)
from headway.http.request import Request
from headway.service import Api

__all__ = ["Endpoint"]

_log = logging.getLogger(__name__)


class _Served(Terms):
    """A request while it is served."""

    __slots__ = ("endpoint", "has_left", "request", "task")

    def __init__(
        self, endpoint: "Endpoint", request: Request, deadline: float, priority: int
    ) -> None:
        super().__init__(deadline, priority)
        self.endpoint = endpoint
        self.request = request
        self.has_left = False
        self.task: asyncio.Task[None] | None = None

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
        # Here, as a task that is cancelled before its first step never runs at all.
        self.endpoint.leave(self)
        task, self.task = self.task, None
        if task is not None:
            task.cancel()


class Endpoint:
    """Serves one API function.

    Args:
        api: What to serve.
        admission: Lets requests in.
        pool: Runs the function if it is sync.
        meters: Count.
        clock: Times requests.
        loop: Runs the function.
        state: Shared by the contexts of this worker.
    """

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
        self._clock = clock
        self._loop = loop
        self._state = state
        self._foresight = Foresight()

    def handle(self, request: Request) -> None:
        """Serve a request: `respond` is called now or later."""
        try:
            deadline = request.received_at + timeout_of(
                request, self._admission.timeout_s
            )
            served = _Served(self, request, deadline, priority_of(request))
            self._admission.enter(served)
        except HeadwayError as error:
            self._answer(request, *render_error(error))
            return
        refusal = self._foresight.refuse(served)
        if refusal is not None:
            self._admission.leave(served)
            self._answer(request, *refusal)
            return
        self._meters.in_progress.add(1)
        try:
            content_type = request.header(b"content-type")
            value = self._api.input.decode(
                request.body,
                None if content_type is None else content_type.decode("latin-1"),
            )
        except HeadwayError as error:
            self.leave(served)
            self._answer(request, *render_error(error))
            return
        except Exception as error:  # noqa: BLE001 - a user's validator may raise anything
            self.leave(served)
            failure = ApiFunctionError("the input could not be validated")
            self._answer(request, *render_error(self._logged(failure, error)))
            return
        request.on_disconnect = served.hang_up
        served.task = self._loop.create_task(self._serve(served, value))

    async def _serve(self, served: _Served, value: Any) -> None:
        request = served.request
        result: Any = None
        TERMS.set(served)
        try:
            context = self._context(request) if self._api.takes_context else None
            result = await self._call(value, context)
            if served.was_refused:
                self._foresight.caught()
            accept = request.header(b"accept")
            content_type, body = self._api.output.encode(
                result, None if accept is None else accept.decode("latin-1")
            )
            if context is None:
                self._answer(request, 200, content_type.encode(), body)
            else:
                self._answer(
                    request,
                    context.response.status_code,
                    content_type.encode(),
                    body,
                    _header_pairs(context.response.headers),
                )
        except asyncio.CancelledError:
            # Ours: the client has gone or the deadline passed, and was answered.
            # The function's own: something it awaited was cancelled.
            self.answer_error(
                request, ApiFunctionError("the API function was cancelled")
            )
            raise
        except HeadwayError as error:
            # Held by no variable of this frame, which its traceback holds.
            self._answer_caught(request, error, result)
        except Exception as error:  # noqa: BLE001 - a user's function may raise anything
            self.answer_error(
                request,
                self._logged(ApiFunctionError("the API function failed"), error),
            )
        finally:
            self._foresight.learn(served)
            self.leave(served)
            # The task's context holds the terms: let the two go without a collection.
            served.task = None

    def _answer_caught(
        self, request: Request, caught: HeadwayError, result: Any
    ) -> None:
        error = self._explained(caught, result)
        # A 500 is a fault in the service, so its author gets the traceback.
        is_fault = error.status == HTTPStatus.INTERNAL_SERVER_ERROR
        self.answer_error(request, self._logged(error, error) if is_fault else error)

    async def _call(self, value: Any, context: Context | None) -> Any:
        api = self._api
        args = (value,) if api.takes_input else ()
        if context is not None:
            args = (*args, context)
        if api.is_async:
            return await api.function(*args)
        result = await self._pool.run(api.function, *args)
        # A sync wrapper around an async function returns what is to be awaited.
        return await result if inspect.isawaitable(result) else result

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
        return Context(request=info, state=self._state)

    def _logged(self, error: HeadwayError, cause: Exception) -> HeadwayError:
        """Return the error with an id, under which the log has the traceback."""
        if error.error_id is None:
            error_id = uuid.uuid4().hex[:12]
            _log.error(
                "API %r failed, error id %s", self._api.name, error_id, exc_info=cause
            )
            error = type(error)(
                f"{error.message}; the log has the traceback under error id {error_id}",
                error_id=error_id,
            )
        return error

    def leave(self, served: _Served) -> None:
        """Note that a request is served no longer."""
        if not served.has_left:
            served.has_left = True
            if served.expected_by is not None:
                served.expected_by.expect_no_more(served)
            self._admission.leave(served)
            self._meters.in_progress.add(-1)

    def answer_error(self, request: Request, error: HeadwayError) -> None:
        """Answer with an error, unless there was an answer already."""
        if request.responder is not None:
            self._answer(request, *render_error(error))

    def _answer(
        self,
        request: Request,
        status: int,
        content_type: bytes,
        body: bytes,
        headers: Any = (),
    ) -> None:
        request.respond(status, content_type, body, headers)
        self._meters.answered(status, self._clock.now() - request.received_at)


def _header_pairs(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in headers.items()
    ]
