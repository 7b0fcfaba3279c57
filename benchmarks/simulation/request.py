"""What travels through the simulator: a request, and the batch that it is served in.

The engine makes requests, a policy puts them into batches; plain slots, as there are
millions of them.
"""

from typing import Any

__all__ = ["Batch", "Request"]


class Request:
    """One call.

    Attributes:
        arrived_at: When it came.
        due: By when an answer is of use.
        rows: How many it has; never more than a batch may have.
        priority: Class, 0 the most urgent.
        sender: Index of the traffic that it belongs to.
    """

    __slots__ = ("arrived_at", "due", "priority", "rows", "sender")

    def __init__(
        self, arrived_at: float, due: float, rows: int, priority: int, sender: int
    ) -> None:
        self.arrived_at = arrived_at
        self.due = due
        self.rows = rows
        self.priority = priority
        self.sender = sender


class Batch:
    """Requests that a replica serves together.

    Attributes:
        requests: All of them are answered when the batch is done.
        rows: Of all requests.
        state: Of the policy, for `update`.
        took_s: Seconds that it takes; the engine draws it.
    """

    __slots__ = ("requests", "rows", "state", "took_s")

    def __init__(self, requests: list[Request], rows: int, state: Any = None) -> None:
        self.requests = requests
        self.rows = rows
        self.state = state
        self.took_s = 0.0
