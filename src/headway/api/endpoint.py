"""One API endpoint: body to argument, the user's function, result to body.

api/application routes requests here; the checks of api/admission admit them; the
function reaches its runners through api/runner_client.
"""

import asyncio
import inspect
import logging
import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from headway.api.admission import ConcurrencyLimit, DeadlineWatch, EarlyRejection
from headway.api.function_task import FunctionTask
from headway.api.request_options import HeaderOptions, read_header_options
from headway.api.thread_pool import ThreadPool
from headway.errors import (
    ApiFunctionError,
    DeadlineExceededError,
    HeadwayError,
    OutputError,
)
from headway.http.request import Request, error_answer, with_request_id
from headway.metrics.meters import EndpointMeters
from headway.service.api import Api
from headway.service.context import Context, RequestInfo

_log = logging.getLogger(__name__)


class ServedRequest(FunctionTask):
    """A request while it is served, and the task of its function."""

    __slots__ = ("accept", "ctx", "endpoint", "has_left", "request", "slot")

    def __init__(
        self,
        endpoint: "Endpoint",
        request: Request,
        options: HeaderOptions,
        deadline: float,
    ) -> None:
        FunctionTask.__init__(self, deadline, options.priority, endpoint.loop)
        self.endpoint = endpoint
        self.request = request
        self.accept = options.accept
        self.slot: Any = None
        self.ctx: Context | None = None
        self.has_left = False

    def expire(self) -> None:
        """Answer that the deadline has passed, and stop the function."""
        self.endpoint.respond_error(
            self.request,
            DeadlineExceededError(
                f"the request was not answered within its deadline "
                f"({self.deadline - self.request.received_at:g} s)"
            ),
        )
        self.hang_up()

    def hang_up(self) -> None:
        """Stop the function: its result is not needed."""
        if not self.has_left:
            self.endpoint.leave(self)
        self.cancel()

    def returned(self, value: Any) -> None:
        """Answer with the function's result."""
        endpoint = self.endpoint
        if self.trace is not None:
            self.trace.returned()
        try:
            content_type, body = endpoint.encode_output(value, self.accept)
            kind = content_type.encode()
            if self.ctx is None:
                status = 200
                self.request.respond(status, kind, body)
            else:
                response = self.ctx.response
                status = response.status_code
                headers = tuple(
                    (name.lower().encode("latin-1"), text.encode("latin-1"))
                    for name, text in response.headers.items()
                )
                self.request.respond(status, kind, body, headers)
            endpoint.count(status, self.request)
            succeeded = True
        except Exception as error:  # noqa: BLE001 - a user's type may raise anything
            endpoint.respond_failure(self.request, error, value)
            succeeded = False
        endpoint.end(self, succeeded=succeeded)

    def raised(self, error: BaseException) -> None:
        """Answer with the function's error."""
        if isinstance(error, asyncio.CancelledError):
            # After a hang-up or the deadline, the request is over already. Otherwise
            # something that the function awaited was cancelled.
            error = ApiFunctionError("the API function was cancelled")
            self.endpoint.respond_error(self.request, error)
        else:
            self.endpoint.respond_failure(self.request, error, None)
        self.endpoint.end(self, succeeded=False)


class Endpoint:
    """Serves one API function.

    Args:
        api: What to serve.
        timeout_s: Seconds from a request's receipt to its deadline; infinite for none.
        limit: Shared by the endpoints of a worker; None: there is no limit.
        watch: Shared by the worker.
        pool: Runs the function if it is sync.
        meters: Count.
        state: Shared by the contexts of this worker.
    """

    def __init__(
        self,
        *,
        api: Api,
        timeout_s: float,
        limit: ConcurrencyLimit | None,
        watch: DeadlineWatch,
        pool: ThreadPool,
        meters: EndpointMeters,
        state: dict[str, Any],
    ) -> None:
        self._api = api
        self._timeout_s = timeout_s
        self._early_rejection = EarlyRejection()
        self._limit = limit
        self._watch = watch
        self._pool = pool
        self._meters = meters
        self._now = watch.now
        self.loop = watch.loop
        self._state = state
        # Bound once for the hot path.
        self._decode_input: Callable[[bytes, str | None], Any] = api.input.decode
        self.encode_output: Callable[[Any, str | None], tuple[str, bytes]] = (
            api.output.encode
        )
        self._function: Callable[..., Any] = (
            api.function if api.is_async else self._in_thread
        )
        self._takes_value_only = api.takes_input and not api.takes_context

    def handle(self, request: Request) -> None:
        """Serve a request: it is answered now or later.

        It may be refused for its headers (400), then in the order of api/admission
        (503, 429), then by its descriptor (400 or 415).
        """
        meters = self._meters
        try:
            options: HeaderOptions = request.head.notes.get(
                HeaderOptions
            ) or read_header_options(request)
            timeout_s = self._timeout_s
            if options.timeout_s < timeout_s:
                timeout_s = options.timeout_s
            received_at = request.received_at
            deadline = received_at + timeout_s
            if self._early_rejection.is_certain:
                refusal = self._early_rejection.answer_of(
                    deadline, options.priority, received_at
                )
                if refusal is not None:
                    request.respond(*with_request_id(refusal, request))
                    self.count(refusal[0], request)
                    return
            served = ServedRequest(self, request, options, deadline)
            if self._limit is not None:
                self._limit.enter()
            self._watch.enter(served)
        except HeadwayError as error:
            self.respond_error(request, error)
            return
        meters.serving += 1
        if not meters.is_due:
            meters.touch()
        try:
            value = self._decode_input(request.body, options.content_type)
        except Exception as error:  # noqa: BLE001 - a user's validator may raise anything
            self.leave(served)
            if not isinstance(error, HeadwayError):
                failure = ApiFunctionError("the input could not be validated")
                error = self._logged(failure, error, request)
            self.respond_error(request, error)
            return
        request.on_disconnect = served.hang_up
        args = (value,) if self._takes_value_only else self._arguments(served, value)
        if request.trace is not None and request.trace.records_stages:
            served.trace = request.trace
            served.trace.decoded()
        served.start(self._function, args)

    def _arguments(self, served: ServedRequest, value: Any) -> tuple[Any, ...]:
        """Return the arguments of a function that takes the context, or nothing."""
        args = (value,) if self._api.takes_input else ()
        if not self._api.takes_context:
            return args
        request, trace = served.request, served.request.trace
        served.ctx = Context(
            request=RequestInfo(
                method=request.method,
                path=request.path,
                query=request.query,
                headers={
                    name.decode("latin-1"): text.decode("latin-1")
                    for name, text in request.headers
                },
            ),
            state=self._state,
            request_id=None if trace is None else trace.request_id or None,
        )
        return (*args, served.ctx)

    async def _in_thread(self, *args: Any) -> Any:
        result = await self._pool.run(self._api.function, *args)
        # A sync wrapper around an async function returns an awaitable.
        return await result if inspect.isawaitable(result) else result

    def end(self, served: ServedRequest, *, succeeded: bool) -> None:
        """Learn from a function's outcome, and release its request."""
        if served.was_refused or served.first_queue is not self._early_rejection.queue:
            self._early_rejection.learn(
                served.first_queue, was_refused=served.was_refused, succeeded=succeeded
            )
        if not served.has_left:
            self.leave(served)

    def leave(self, served: ServedRequest) -> None:
        """Note that a request is served no longer."""
        served.has_left = True
        self._watch.leave(served)
        if self._limit is not None:
            self._limit.leave()
        meters = self._meters
        meters.serving -= 1
        if not meters.is_due:
            meters.touch()

    def respond_failure(
        self, request: Request, caught: BaseException, result: Any
    ) -> None:
        """Answer with the error of a function or its descriptor."""
        if not isinstance(caught, HeadwayError):
            failure = ApiFunctionError("the API function failed")
            error = self._logged(failure, caught, request)
        else:
            error = self._explained(caught, result)
            # A 500 is a fault in the service, so its author gets the traceback.
            if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
                error = self._logged(error, error, request)
        self.respond_error(request, error)

    def _explained(self, error: HeadwayError, result: Any) -> HeadwayError:
        """Return the error, or its reason: a forgotten `await`."""
        if not (isinstance(error, OutputError) and inspect.iscoroutine(result)):
            return error
        result.close()  # otherwise Python warns of it too, at another line
        return OutputError(
            f"the API function {self._api.name!r} returned a coroutine "
            f"({result.__qualname__}) in place of its result: is an `await` missing, "
            "as in `return await runner.predict.async_run(x)`?"
        )

    def _logged(
        self, error: HeadwayError, cause: BaseException, request: Request
    ) -> HeadwayError:
        """Return the error with an id, under which the log has the traceback."""
        trace, extra = request.trace, None
        if trace is not None and trace.request_id:
            # Not left to the context: this may run amid another request's work.
            extra = {"request_id": trace.request_id}
        if error.error_id is None:
            error_id = uuid.uuid4().hex[:12]
            _log.error(
                "API %r failed, error id %s",
                self._api.name,
                error_id,
                exc_info=cause,
                extra=extra,
            )
            error = error.with_error_id(error_id)
        elif extra is not None:
            # The runner, whose log has the traceback, does not know the request.
            _log.error("API %r: %s", self._api.name, error.message, extra=extra)
        return error

    def respond_error(self, request: Request, error: HeadwayError) -> None:
        """Answer with an error, unless the request was answered already."""
        if request.responder is not None:
            request.respond(*error_answer(error, request))
            self.count(error.status, request)

    def count(self, status: int, request: Request) -> None:
        """Count an answer."""
        meters = self._meters
        meters.answers.append((status, self._now() - request.received_at))
        if not meters.is_due:
            meters.touch()
