"""What a sync API function waits for in its thread, so that it can be called off.

api/thread_pool makes one for each function that it runs; api/runner_client enters the
calls of that function's thread.
"""

from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any, Final

__all__ = ["BLOCKING_CALLS", "BlockingCalls"]


class BlockingCalls:
    """The runner calls of one request whose function runs in a thread."""

    __slots__ = ("_futures", "_is_cancelled")

    def __init__(self) -> None:
        self._futures: set[Future[Any]] = set()
        self._is_cancelled = False

    def wait(self, future: Future[Any]) -> Any:
        """Return the result of a call; the thread waits for it here.

        Raises:
            CancelledError: If nobody waits for the request any longer.
        """
        self._futures.add(future)
        try:
            if self._is_cancelled:
                future.cancel()
            return future.result()
        finally:
            self._futures.discard(future)

    def cancel(self) -> None:
        """Call off what the thread waits for, and whatever it will call."""
        # First the mark: a call entered meanwhile is in the set or sees it.
        self._is_cancelled = True
        for future in list(self._futures):
            future.cancel()


BLOCKING_CALLS: Final[ContextVar[BlockingCalls]] = ContextVar("headway_blocking_calls")
"""Of the request whose function runs in this thread."""
