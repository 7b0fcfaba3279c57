"""The future of a runner call, which wakes the function that awaits it at once.

api/runner_client makes one for each call, api/pending_calls settles it. In a module of
its
own, for mypyc cannot lay out a class whose base is C code.
"""

import asyncio
from typing import Any, Protocol

__all__ = ["CallFuture"]


class Sleeper(Protocol):
    """What awaits a runner; api/function_task is the one."""

    def wake(self) -> None:
        """Go on: what it awaits is done."""
        ...


class CallFuture(asyncio.Future[Any]):
    """The answer of a runner, which the function's own task hears of at once."""

    __slots__ = ("task",)
    task: Sleeper | None
    """The task that awaits it; another kind of task adds a callback instead."""

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel it; who awaits it hears that in the next turn, as of any future."""
        if not super().cancel(msg):
            return False
        if self.task is not None:
            self.get_loop().call_soon(self.task.wake)
        return True
