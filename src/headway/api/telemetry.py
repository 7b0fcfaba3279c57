"""What is noted of the requests of an API worker, and where it is told.

assemble_observation makes one if a setting asks for it; journeys refer to it.
"""

from headway.api.access_log import AccessLog
from headway.api.request_ids import RequestIds
from headway.api.request_spans import RequestSpans
from headway.core.clock import Clock

__all__ = ["Telemetry"]


class Telemetry:
    """What all journeys of an API worker share.

    Args:
        clock: The one that requests are stamped by.
        ids: Names requests; None: they have no names.
        access_log: Told of each answer; None: there is no such log.
        shows_timing: Whether answers have the header `Server-Timing`.
        spans: Made of requests that are sampled; None: there are none.

    Attributes:
        follows_all: Whether something is told of every request.
    """

    __slots__ = ("access_log", "follows_all", "ids", "now", "shows_timing", "spans")

    def __init__(
        self,
        *,
        clock: Clock,
        ids: RequestIds | None,
        access_log: AccessLog | None,
        shows_timing: bool,
        spans: RequestSpans | None,
    ) -> None:
        self.now = clock.now
        self.ids = ids
        self.access_log = access_log
        self.shows_timing = shows_timing
        self.spans = spans
        self.follows_all = ids is not None or shows_timing

    def start(self) -> None:
        """Let the access log be written."""
        if self.access_log is not None:
            self.access_log.start()

    async def aclose(self) -> None:
        """Write what is left of the access log."""
        if self.access_log is not None:
            await self.access_log.aclose()
