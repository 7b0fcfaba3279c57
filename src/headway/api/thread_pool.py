"""The threads in which sync API functions run, and the runner calls that they wait for.

api/endpoint sends functions there; api/runner_client enters their calls, so that a
cancelled request's thread stops waiting.
"""

import asyncio
import contextvars
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any, Final

from headway.errors import OverloadedError
from headway.metrics import Counter

_WAITING_PER_THREAD = 64


class BlockingCalls:
    """The runner calls of one request whose function runs in a thread."""

    __slots__ = ("_futures", "_is_cancelled")

    def __init__(self) -> None:
        self._futures: set[Future[Any]] = set()
        self._is_cancelled = False

    def wait(self, future: Future[Any]) -> Any:
        """Return the result of a call; the thread waits for it here.

        Raises:
            CancelledError: If the request was cancelled.
        """
        self._futures.add(future)
        try:
            if self._is_cancelled:
                future.cancel()
            return future.result()
        finally:
            self._futures.discard(future)

    def cancel(self) -> None:
        """Cancel the calls that the thread waits for, and every later one."""
        # First the mark: a call entered meanwhile is in the set or sees it.
        self._is_cancelled = True
        for future in list(self._futures):
            future.cancel()


BLOCKING_CALLS: Final[ContextVar[BlockingCalls]] = ContextVar("headway_blocking_calls")
"""Of the request whose function runs in this thread."""


class ThreadPool:
    """Runs sync API functions; a bounded number of requests wait for a thread.

    Args:
        threads: How many run at once.
        refused: Counts refusals.
    """

    def __init__(self, *, threads: int, refused: Counter) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="headway-api")
        self._most = threads * (1 + _WAITING_PER_THREAD)
        self._taken = 0
        self._refused = refused

    async def run(self, function: Any, *args: Any) -> Any:
        """Run a function in a thread, with the caller's context variables.

        Raises:
            OverloadedError: If too many wait for a thread.
        """
        if self._taken >= self._most:
            self._refused.add()
            raise OverloadedError(
                f"{self._taken} requests run in or wait for the threads of sync API "
                "functions; make them async, or raise api_server.threads",
                retry_after_s=1.0,
            )
        calls = BlockingCalls()
        context = contextvars.copy_context()
        context.run(BLOCKING_CALLS.set, calls)
        future = self._pool.submit(context.run, _call, function, *args)
        self._taken += 1
        loop = asyncio.get_running_loop()
        # The thread counts until it is over, even if its request is.
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._release))
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            # The thread cannot be stopped, but its calls can.
            calls.cancel()
            raise

    def _release(self) -> None:
        self._taken -= 1

    def close(self) -> None:
        """Let the threads end; waiting functions are not started."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _call(function: Any, *args: Any) -> Any:
    try:
        return function(*args)
    except StopIteration as error:
        # A future refuses it, so that its request would wait until its deadline.
        raise RuntimeError("the API function raised StopIteration") from error
