"""For locustfiles: users whose requests come at a rate of their own, in Locust.

Who writes a locustfile imports it, in the process of Locust: it imports Locust, which
changes the whole process. tools/load/open_loop_sender does the work.
"""

import gc
import select
import threading
import time
from collections.abc import Sequence
from typing import Any, ClassVar

from headway.errors import MissingExtraError, TrafficError
from headway.tools.load.arrivals import Arrivals, Poisson
from headway.tools.load.open_loop_sender import Limits, Sender, Turns
from headway.tools.load.request import Request

__all__ = ["OpenLoopUser"]

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


def _turns() -> Turns:
    """Return how to wait, with what Locust has replaced and what it was before."""
    from gevent import monkey

    epoll, original_select = monkey.get_original("select", ["epoll", "select"])
    return Turns(
        epoll=epoll,
        select=original_select,
        select_among_others=select.select,
        let_others=_let_others,
    )


def _let_others() -> None:
    time.sleep(0)


_User: Any = _locust_user()


def _send(user: "OpenLoopUser") -> None:
    user.send()


class OpenLoopUser(_User):  # type: ignore[misc]  # Locust has few types
    """Requests that come when they are due, however slowly the server answers.

    A user of Locust's own waits for its answer before it asks again: while a server
    stalls, nothing is sent, and what would have been slow is missing in the statistics.
    This one sends each request at its time and counts from that time, so that all of
    a stall shows. Requests that were not answered at all are failures.

    Sub-classes say what is sent and when; `requests` are taken in turn:

        class Visitors(OpenLoopUser):
            arrivals = Poisson(500)
            requests = [Request("/classify", {"income": 100})]

    It speaks HTTP/1.1 without TLS, and takes answers with a Content-Length. Each user
    follows its own schedule: two of them send twice as much.
    """

    abstract = True
    tasks: ClassVar = [_send]

    arrivals: ClassVar[Arrivals] = Poisson(10)
    """When requests are due."""
    requests: ClassVar[Sequence[Request]] = ()
    """What is sent, in turn."""
    connections: ClassVar[int] = 32
    """Opened before the first request."""
    max_connections: ClassVar[int] = 2000
    """Up to which further ones are opened while all are busy. After that requests wait
    for one, and that counts."""
    timeout_s: ClassVar[float] = 30.0
    """From when a request was due; without an answer until then it has failed."""

    def next_request(self) -> Request:
        """Return what is sent next; override it for what is made anew each time."""
        self._number += 1
        return self.requests[self._number % len(self.requests)]

    def failure_of(self, status: int, body: bytes) -> str | None:
        """Return what is wrong with an answer; None: nothing.

        Override it to look into the body.

        Args:
            status: Of HTTP.
            body: All of it.
        """
        if status < _FIRST_ERROR:
            return None
        return f"{status}: {body[:200].decode(errors='replace')}"

    def is_stopping(self) -> bool:
        """Return whether Locust has asked this user to end."""
        return bool(self._state == _STOPPING)

    def report(
        self, request: Request, began: float, took_s: float, length: int, failure: str
    ) -> None:
        """Tell Locust, and all who listen to its `events.request`.

        Args:
            request: Which.
            began: When it was due, monotonic.
            took_s: From then to its answer.
            length: Of the answer's body.
            failure: What was wrong; empty: nothing.
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
        """Send until Locust ends this user, or the schedule is over.

        Raises:
            StopUser: When that is so; or at once, and Locust quits, if there is nothing
                to send, or no server for it.
        """
        origin = (self.host or "").rstrip("/")
        problem = self._problem(origin)
        if problem:
            self.environment.events.user_error.fire(
                user_instance=self, exception=TrafficError(problem), tb=None
            )
            # As Locust does at the end of the time: this greenlet ends before.
            threading.Thread(target=self.environment.runner.quit, daemon=True).start()
            raise _stop_user()
        # All that Locust has loaded: to walk through that takes longer than a request.
        gc.collect()
        gc.freeze()
        self._number = -1
        self._wall_s = time.time() - time.monotonic()
        self._fire = self.environment.events.request.fire
        Sender(
            origin=origin,
            times=self.arrivals.times(),
            limits=Limits(self.connections, self.max_connections, self.timeout_s),
            user=self,
            turns=_turns(),
        ).run()
        raise _stop_user()

    def _problem(self, origin: str) -> str:
        """Return why nothing can be sent; empty if it can."""
        name = type(self).__name__
        if not origin.startswith("http://"):
            return (
                f"{name}: the host is {origin or 'not said'!r}: an open-loop user "
                "takes one as http://127.0.0.1:3000"
            )
        makes_its_own = type(self).next_request is not OpenLoopUser.next_request
        if not self.requests and not makes_its_own:
            return (
                f"{name} has nothing to send: give it `requests`, as in "
                "requests = [Request('/classify', b'...')]"
            )
        return ""


class _Failed(Exception):
    """What Locust shows as the error of a request."""
