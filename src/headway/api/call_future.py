"""The future of a runner call, which wakes the function that awaits it at once.

api/runner_client makes one for each call, api/pending_calls settles it. It has its own
module because mypyc cannot compile a class whose base is C code.
"""

import asyncio
from typing import Any


class CallFuture(asyncio.Future[Any]):
    """The answer of a runner, which wakes the function's own task at once."""

    __slots__ = ("task",)
    task: Any
    """The FunctionTask that awaits it; another kind of task adds a callback instead."""

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel it; its task continues in the next turn, as with any future."""
        if not super().cancel(msg):
            return False
        if self.task is not None:
            self.get_loop().call_soon(self.task.wake)
        return True
