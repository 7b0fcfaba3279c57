"""Which runner an endpoint's function calls first, to refuse requests before it runs.

api/handler asks it for every request and tells it what each function did. Under
overload most requests end here: decoding them and starting the function, only for the
runner client to refuse the call, would take the time that the others need.
"""

from typing import Final

from headway.api.error_answer import render_error
from headway.api.runner_client import RunnerClient
from headway.api.terms import Terms
from headway.http.request import Answer

__all__ = ["Foresight"]

_CERTAIN_AFTER: Final = 100
"""Requests in a row that have to call the same runner first."""
_GIVEN_UP_AFTER: Final = 10
"""Refused requests in a row whose function has to have nothing else to answer."""
_CHECK_EVERY: Final = 64
"""One request in so many goes on to the function, as it may have changed its mind."""


class Foresight:
    """What the requests of one endpoint will do, by what those before them did."""

    __slots__ = ("_client", "_foreseen", "_given_up", "_rendered", "_streak")

    def __init__(self) -> None:
        self._client: RunnerClient | None = None
        self._streak = 0
        self._given_up = 0
        """Requests in a row that were refused by it and answered so."""
        self._foreseen = 0
        self._rendered: tuple[int, Answer] | None = None

    def learn(self, terms: Terms, *, succeeded: bool) -> None:
        """Take note of what a function did.

        Args:
            terms: Of its request.
            succeeded: Whether it had an answer of its own, perhaps in place of the
                error of the refused call: then it must be asked each time.
        """
        if terms.first_call is self._client:
            self._streak += 1
        else:
            self._client = terms.first_call
            self._streak = 1
            self._given_up = 0
        if terms.was_refused:
            self._given_up = 0 if succeeded else self._given_up + 1

    def refuse(self, terms: Terms) -> Answer | None:
        """Return the answer if the runner's backlog will make the request late.

        If not, the runner client counts on the call; `Terms.expected_by` tells.
        """
        client = self._client
        if client is None or self._streak < _CERTAIN_AFTER:
            return None
        if self._given_up < _GIVEN_UP_AFTER:
            return None
        if (self._foreseen + 1) % _CHECK_EVERY == 0:
            self._foreseen += 1
            return None  # the runner client refuses and counts it, if it still is late
        refusal = client.refusal(terms.deadline, terms.priority)
        if refusal is None:
            client.expect(terms)
            return None
        self._foreseen += 1
        # Its text is always the same, and Retry-After counts whole seconds.
        seconds = int(refusal.retry_after_s or 0)
        if self._rendered is None or self._rendered[0] != seconds:
            self._rendered = seconds, render_error(refusal)
        return self._rendered[1]
