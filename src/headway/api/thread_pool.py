"""The threads in which sync API functions run.

api/endpoint sends functions there; what they call on a runner comes back to the loop.
"""

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from headway.api.blocking_calls import BLOCKING_CALLS, BlockingCalls
from headway.errors import OverloadedError
from headway.metrics import Counter

__all__ = ["ThreadPool"]

_WAITING_PER_THREAD = 64


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
        future = self._pool.submit(context.run, function, *args)
        self._taken += 1
        loop = asyncio.get_running_loop()
        # The thread counts until it is over, even if its caller has gone.
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._release))
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            # The thread cannot be stopped, but what it waits for can.
            calls.cancel()
            raise

    def _release(self) -> None:
        self._taken -= 1

    def close(self) -> None:
        """Let the threads end; what waits is not begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)
