"""Which runner an endpoint's function calls first, to refuse requests before it runs.

api/endpoint asks it for every request and tells it what each function did. Under
overload most requests end here: decoding them and starting the function, only for the
runner client to refuse the call, would take the time that the others need.
"""

import math
from typing import Final

from headway.api.error_answer import render_error
from headway.api.request_options import RequestOptions
from headway.api.runner_client import RunnerClient
from headway.http.request import Answer

__all__ = ["EarlyRejection"]

_CERTAIN_AFTER: Final = 100
"""Requests in a row that the same runner client has to refuse, for want of anything
else that their function did."""
_CHECK_EVERY: Final = 64
"""One request in so many goes on to the function, as it may have changed its mind."""
_ANSWERS_KEPT: Final = 64


class EarlyRejection:
    """What the requests of one endpoint will do, by what those before them did."""

    __slots__ = ("_answers", "_foreseen", "_streak", "client", "is_certain")

    def __init__(self) -> None:
        self.client: RunnerClient | None = None
        """Called first by the last function."""
        self._streak = 0
        """Requests in a row that were refused by it and answered so."""
        self.is_certain = False
        """Whether `refuse` may refuse."""
        self._foreseen = 0
        self._answers: dict[int, Answer] = {}

    def learn(self, terms: RequestOptions, *, succeeded: bool) -> None:
        """Take note of what a function did, if it called another runner or was refused.

        Args:
            terms: Of its request.
            succeeded: Whether it had an answer of its own, perhaps in place of the
                error of the refused call: then it must be asked each time.
        """
        if terms.first_call is not self.client:
            self.client = terms.first_call
            self._streak = 0
        if terms.was_refused:
            self._streak = 0 if succeeded else self._streak + 1
        self.is_certain = self._streak >= _CERTAIN_AFTER

    def refuse(self, deadline: float, priority: int) -> Answer | None:
        """Return the answer if the runner's backlog will make the request late.

        Args:
            deadline: Of the request.
            priority: Its class.
        """
        client = self.client
        if client is None or not self.is_certain:
            return None
        late_s = client.late_s(deadline, priority)
        if late_s <= 0:
            return None
        self._foreseen += 1
        if self._foreseen % _CHECK_EVERY == 0:
            return None  # the runner client refuses and counts it, if it still is late
        client.count_late()
        # Its text is always the same, and Retry-After counts whole seconds.
        seconds = math.ceil(late_s)
        answer = self._answers.get(seconds)
        if answer is None:
            if len(self._answers) >= _ANSWERS_KEPT:
                self._answers.clear()
            error = client.late_error(seconds)
            answer = self._answers[seconds] = render_error(error)
        return answer
