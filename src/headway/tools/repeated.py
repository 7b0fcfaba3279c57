"""Something done again and again beside a measurement, in a thread of its own.

The walk feels a server's pulse by it, and the load reads the server's metrics.
"""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

__all__ = ["Repeated"]


class Repeated:
    """A context for as long as which it is done.

    Args:
        action: What; it ends by itself, and raises nothing.
        every_s: Seconds between its end and the next beginning.
        end_s: How long the context waits at its end for an action under way.
    """

    def __init__(
        self, action: Callable[[], None], *, every_s: float, end_s: float
    ) -> None:
        self._action = action
        self._every_s = every_s
        self._end_s = end_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._repeat, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join(self._end_s)

    def _repeat(self) -> None:
        while not self._over.wait(self._every_s):
            self._action()
