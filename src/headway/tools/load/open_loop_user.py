"""`OpenLoopUser` for locustfiles: sends requests at a fixed rate, inside Locust.

Locustfiles import it as `headway.locust`, in Locust's own process, because importing
Locust patches the whole process. load/open_loop_sender does the work.
"""

import gc
import select
import threading
import time
from collections.abc import Sequence
from typing import Any, ClassVar

from headway.errors import MissingExtraError, TrafficError
from headway.tools.load.arrivals import Arrivals, Poisson
from headway.tools.load.open_loop_sender import (
    ConnectionLimits,
    OpenLoopRequest,
    OpenLoopSender,
    WaitFunctions,
)

_STOPPING = "stopping"
_FIRST_ERROR = 400


def _locust_user() -> Any:
    try:
        from locust import User
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "headway.locust needs Locust: pip install 'headway[load]'"
        ) from error
    return User


def _stop_user() -> Exception:
    from locust.exception import StopUser

    stop: Exception = StopUser()
    return stop


def _wait_functions() -> WaitFunctions:
    """Return the patched and the original functions for waiting."""
    from gevent import monkey

    epoll, original_select = monkey.get_original("select", ["epoll", "select"])
    return WaitFunctions(
        epoll=epoll,
        select=original_select,
        select_cooperatively=select.select,
        yield_to_others=_let_others,
    )


def _let_others() -> None:
    time.sleep(0)


_User: Any = _locust_user()


def _send(user: "OpenLoopUser") -> None:
    user.send()


class OpenLoopUser(_User):  # type: ignore[misc]  # Locust has few types
    """A user that sends requests when they are due, however slow the server is.

    An ordinary Locust user waits for its answer before it sends the next request. While
    a server stalls, it sends nothing, and the slow requests are missing in the
    statistics. An open-loop user sends each request at its due time and measures from
    that time, so that a stall shows in full. Requests without an answer are failures.

    Subclasses define the requests and their times; `requests` are sent in turn:

        class Visitors(OpenLoopUser):
            arrivals = Poisson(500)
            requests = [OpenLoopRequest("/classify", {"income": 100})]

    It uses HTTP/1.1 without TLS and needs answers with a Content-Length. Each user has
    its own schedule: two users send twice the rate.
    """

    abstract = True
    tasks: ClassVar = [_send]

    arrivals: ClassVar[Arrivals] = Poisson(10)
    """When requests are due."""
    requests: ClassVar[Sequence[OpenLoopRequest]] = ()
    """Requests to send, in turn."""
    connections: ClassVar[int] = 32
    """Opened before the first request."""
    max_connections: ClassVar[int] = 2000
    """Maximum; further connections are opened while all are busy. Beyond it, requests
    wait for a connection, and the wait counts as latency."""
    timeout_s: ClassVar[float] = 30.0
    """Time-out of a request from its due time."""

    def next_request(self) -> OpenLoopRequest:
        """Return the next request; override it to create each request anew."""
        self._number += 1
        return self.requests[self._number % len(self.requests)]

    def failure_of(self, status: int, body: bytes) -> str | None:
        """Return what is wrong with an answer, or None.

        Override it to check the body.

        Args:
            status: HTTP status code.
            body: The whole body.
        """
        if status < _FIRST_ERROR:
            return None
        return f"{status}: {body[:200].decode(errors='replace')}"

    def is_stopping(self) -> bool:
        """Return whether Locust is stopping this user."""
        return bool(self._state == _STOPPING)

    def report(
        self,
        request: OpenLoopRequest,
        began: float,
        took_s: float,
        length: int,
        failure: str,
    ) -> None:
        """Report a request to Locust and to the listeners of its `events.request`.

        Args:
            request: The request.
            began: Its due time, monotonic.
            took_s: From the due time to the answer.
            length: Length of the answer's body.
            failure: What was wrong; empty on success.
        """
        self._fire(
            request_type=request.method,
            name=request.name,
            response_time=took_s * 1000,
            response_length=length,
            exception=_Failed(failure) if failure else None,
            context=self.context(),
            start_time=began + self._wall_s,
            url=request.path,
            response=None,
        )

    def send(self) -> None:
        """Send until Locust stops this user or the schedule ends.

        Raises:
            StopUser: At the end. If there is nothing to send or the host is wrong, at
                once, and Locust quits.
        """
        origin = (self.host or "").rstrip("/")
        problem = self._problem(origin)
        if problem:
            self.environment.events.user_error.fire(
                user_instance=self, exception=TrafficError(problem), tb=None
            )
            # In a thread, as Locust does at the end of a run: this greenlet ends first.
            threading.Thread(target=self.environment.runner.quit, daemon=True).start()
            raise _stop_user()
        # Collecting garbage among Locust's own objects takes longer than a request.
        gc.collect()
        gc.freeze()
        self._number = -1
        self._wall_s = time.time() - time.monotonic()
        self._fire = self.environment.events.request.fire
        OpenLoopSender(
            origin=origin,
            times=self.arrivals.times(),
            limits=ConnectionLimits(
                self.connections, self.max_connections, self.timeout_s
            ),
            source=self,
            waits=_wait_functions(),
        ).run()
        raise _stop_user()

    def _problem(self, origin: str) -> str:
        """Return why nothing can be sent; empty if something can."""
        name = type(self).__name__
        if not origin.startswith("http://"):
            return (
                f"{name}: the host is {origin or 'not set'!r}: an open-loop user "
                "needs one like http://127.0.0.1:3000"
            )
        has_own_requests = type(self).next_request is not OpenLoopUser.next_request
        if not self.requests and not has_own_requests:
            return (
                f"{name} has nothing to send: set `requests`, as in "
                "requests = [OpenLoopRequest('/classify', b'...')]"
            )
        return ""


class _Failed(Exception):
    """Shown by Locust as the error of a request."""
