"""The task that runs an API function: at once, and on as soon as its runner answers.

api/endpoint starts one for each request; api/pending_calls wakes it. To the function it
is an ordinary task: `asyncio.current_task()` returns it, and it can be cancelled, so
that `asyncio.timeout`, task groups and anyio work.

An asyncio.Task goes on only in the next turn of the loop. With 64 requests a turn,
bench_edge takes 10.9 us a request with this task on Python 3.12 and 11.1 us on 3.13; it
takes 14.1 and 14.0 us with `asyncio.Task(eager_start=True)`, 13.5 and 13.0 us with a
plain one. A Python without the private `_enter_task` and `_leave_task` uses plain ones.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from types import CoroutineType
from typing import Any

from headway.api.call_future import CallFuture
from headway.api.request_options import REQUEST_OPTIONS, RequestOptions

try:
    from asyncio.tasks import _enter_task, _leave_task
except ImportError:
    HAS_OWN_TASK = False
else:
    HAS_OWN_TASK = True


class FunctionTask(RequestOptions):
    """Runs a coroutine under the options of a request.

    Sub-classes take its outcome. The names with an underscore are those
    of asyncio.Task that other libraries look at.

    Args:
        deadline: Monotonic seconds by which the request must be answered.
        priority: Its class.
        loop: Runs the function.
    """

    __slots__ = (
        "_fut_waiter",
        "_must_cancel",
        "cancel_requests",
        "context",
        "coroutine",
        "loop",
    )

    def __init__(
        self, deadline: float, priority: int, loop: asyncio.AbstractEventLoop
    ) -> None:
        # All in one frame: it is made for every request.
        self.deadline = deadline
        self.priority = priority
        self.trace = None
        self.first_queue = None
        self.was_refused = False
        self.loop = loop
        self.coroutine: Any = None
        self.context: Context | None = None
        self._fut_waiter: Any = None  # the future that it awaits
        self._must_cancel = False  # it is cancelled as soon as it awaits anything
        self.cancel_requests = 0

    def __repr__(self) -> str:
        return f"<{self.get_name()}>"

    def returned(self, value: Any) -> None:
        """Take the function's result."""
        raise NotImplementedError

    def raised(self, error: BaseException) -> None:
        """Take what the function raised; CancelledError is one of these."""
        raise NotImplementedError

    def start(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Call an async function and run it to where it first has to wait."""
        self.context = context = copy_context()
        context.run(REQUEST_OPTIONS.set, self)
        try:
            coroutine = function(*args)
        except Exception as error:  # noqa: BLE001 - a plain function that is awaited
            self._fail(error)
            return
        if type(coroutine) is not CoroutineType and not hasattr(coroutine, "send"):
            coroutine = _awaiting(coroutine)
        self.coroutine = coroutine
        if HAS_OWN_TASK:
            self._run(coroutine.send, None)
        else:
            task = self.loop.create_task(self._outcome(coroutine), context=context)
            self._fut_waiter = task  # `cancel` cancels it
            task.add_done_callback(self._task_is_done)

    def wake(self) -> None:
        """Go on: the awaited future is done."""
        self._fut_waiter = None
        coroutine = self.coroutine
        if coroutine is None:
            return
        if self._must_cancel:
            self._must_cancel = False
            self._run(coroutine.throw, asyncio.CancelledError())
        else:
            self._run(coroutine.send, None)

    def _run(self, step: Callable[[Any], Any], argument: Any) -> None:
        """Run the function to where it next has to wait, or to its end."""
        loop, outer = self.loop, None
        try:
            _enter_task(loop, self)  # type: ignore[arg-type]  # a task but by its class
        except RuntimeError:
            # Another server's task has called us, or a function's end another's start.
            outer = asyncio.current_task(loop)
            if outer is None:
                raise
            _leave_task(loop, outer)
            _enter_task(loop, self)  # type: ignore[arg-type]
        error: BaseException | None = None
        try:
            awaited = self.context.run(step, argument)  # type: ignore[union-attr]
        except StopIteration as stop:
            awaited, result = _DONE, stop.value
        except BaseException as raised:  # noqa: BLE001 - it is handed on below
            awaited, error = _DONE, raised
        finally:
            _leave_task(loop, self)  # type: ignore[arg-type]
            if outer is not None:
                _enter_task(loop, outer)
        if type(awaited) is CallFuture:
            awaited._asyncio_future_blocking = False
            awaited.task = self
            self._fut_waiter = awaited
            if self._must_cancel:
                self._await(awaited)
        elif awaited is not _DONE:
            self._await_other(awaited)
        elif error is None:
            # A cycle would wait for the garbage collector.
            self.coroutine = self.context = None
            self.returned(result)
        else:
            self._fail(error)
            # Its traceback holds this frame, which must not hold it.
            del error

    def _fail(self, error: BaseException) -> None:
        self.coroutine = self.context = None
        self.raised(error)
        if isinstance(error, KeyboardInterrupt | SystemExit):
            # It ends the program from a callback of its own: the callback that woke
            # this task has others to wake.
            self.loop.call_soon(_raise, error)

    def _await(self, future: Any) -> None:
        self._fut_waiter = future
        if self._must_cancel and future.cancel():
            self._must_cancel = False

    def _await_other(self, awaited: Any) -> None:
        """Wait for anything but a runner's answer, as asyncio.Task does."""
        if awaited is None:
            self.loop.call_soon(self.wake)
        elif getattr(awaited, "_asyncio_future_blocking", None):
            awaited._asyncio_future_blocking = False
            awaited.add_done_callback(self._awaited_is_done)
            self._await(awaited)
        else:
            error = RuntimeError(f"an API function awaited {awaited!r}, no awaitable")
            self.loop.call_soon(self._run, self.coroutine.throw, error)

    def _awaited_is_done(self, future: object) -> None:
        self.wake()

    # --- in an asyncio.Task, without _enter_task and _leave_task

    async def _outcome(self, coroutine: Any) -> None:
        try:
            result = await coroutine
        except BaseException as error:  # noqa: BLE001 - it is handed on
            self._fail(error)
        else:
            self.coroutine = self.context = None
            self.returned(result)

    def _task_is_done(self, task: "asyncio.Task[None]") -> None:
        self._fut_waiter = None
        if self.context is not None:  # it was cancelled before it began
            self.coroutine.close()
            self._fail(asyncio.CancelledError())

    # --- as of asyncio.Task

    def done(self) -> bool:
        """Return whether the function is over."""
        return self.context is None

    def cancel(self, msg: Any | None = None) -> bool:
        """Raise CancelledError in the function, where it waits."""
        if self.done():
            return False
        self.cancel_requests += 1
        if self._fut_waiter is None or not self._fut_waiter.cancel(msg):
            self._must_cancel = True
        return True

    def cancelling(self) -> int:
        """Return how many requests to cancel are open."""
        return self.cancel_requests

    def uncancel(self) -> int:
        """Take back one request to cancel; return how many are left."""
        self.cancel_requests = max(self.cancel_requests - 1, 0)
        return self.cancel_requests

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop that runs it."""
        return self.loop

    def get_coro(self) -> Any:
        """Return the function's coroutine."""
        return self.coroutine

    def get_context(self) -> Context | None:
        """Return the context that it runs in."""
        return self.context

    def get_name(self) -> str:
        """Return a name for logs."""
        return f"API function {getattr(self.coroutine, '__qualname__', '')}"


_DONE = object()


def _raise(error: BaseException) -> None:
    raise error


async def _awaiting(awaitable: Any) -> Any:
    return await awaitable
