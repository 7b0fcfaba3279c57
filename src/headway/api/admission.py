"""What admits or refuses a request, as small objects in one order.

| a request meets          | refused with | while                                   |
| ------------------------ | ------------ | --------------------------------------- |
| 1. `EarlyRejection`      | 503          | its runner's queue makes it late        |
| 2. `ConcurrencyLimit`    | 429          | the worker serves as many as it may     |
| 3. `DeadlineWatch`       | 504          | it is served until its deadline         |
| 4. `QueueDelayEstimate`  | 503          | the queue makes one of its calls late   |

api/endpoint applies the first three to a request; api/runner_client applies the last
one to each call, and enters calls without a request into the watch.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Any, Final, Protocol

from headway.core.clock import Clock
from headway.errors import OverloadedError, TooManyRequestsError
from headway.http.request import Answer, render_error
from headway.ipc.records import SIMILAR_BUDGETS, ResultsFrame
from headway.metrics import Counter

_SLOT_S: Final = 0.01

_LEARNING_RATE: Final = 0.05
_DEVIATIONS: Final = 3.0
_MAX_RESERVE: Final = 0.1
"""Share of the time left that may be reserved for the way back."""

_CERTAIN_AFTER: Final = 100
"""Requests in a row that the same runner has to refuse before early rejection."""
_CHECK_EVERY: Final = 64
"""Every 64th request runs anyway, to detect a function that behaves differently."""
_ANSWERS_KEPT: Final = 64


class QueueDelayEstimate:
    """When a runner would answer one more call, by its last results.

    The runner would refuse a late call too, but only after its current batch.

    Args:
        runner: Its name.
        refused: Finds the counter of refusals by reason.
    """

    def __init__(self, *, runner: str, refused: Callable[[str], Counter]) -> None:
        self._runner = runner
        self._refused = refused
        self._answer_at = 0.0
        self._budget_s = 0.0
        """The time that the calls of the last results had; calls with less go first."""
        self._row_s = 0.0
        """The delay that each row sent adds for the next."""
        self.latest = 0.0
        """The latest deadline in flight: calls with an earlier one may overtake it."""
        self._last_priority = 0
        self._method = ""
        self._has_one_method = True
        """Without it, the runner's estimate may be for calls of another cost."""
        self._round_trip_s = self._deviation_s = 0.0
        """What a call takes besides the runner's time: mean, and deviation from it."""

    def learn(
        self, results: ResultsFrame, sent_at: float, deadline: float, now: float
    ) -> None:
        """Update the estimate from results.

        Args:
            results: Say how long the runner's queue is.
            sent_at: When their group was sent.
            deadline: The latest of their group.
            now: Monotonic seconds.
        """
        self._answer_at = now + results.queue_delay_s
        self._row_s = results.row_s
        self._budget_s = deadline - sent_at
        round_trip_s = now - sent_at - results.queue_s - results.compute_s
        error = round_trip_s - self._round_trip_s
        self._round_trip_s += _LEARNING_RATE * error
        self._deviation_s += _LEARNING_RATE * (abs(error) - self._deviation_s)

    def reserve_s(self, left_s: float) -> float:
        """Return the part of the time left that the runner must leave for the way."""
        reserve_s = self._round_trip_s + _DEVIATIONS * self._deviation_s
        most = _MAX_RESERVE * left_s
        return most if most < reserve_s else reserve_s

    def late_s(self, deadline: float, priority: int, now: float) -> float:
        """Return by how many seconds a call is certainly late; not above 0 if not.

        The runner decides about calls that may overtake others, or whose method may
        take another time.
        """
        late_s = self._answer_at + self.reserve_s(deadline - now) - deadline
        if late_s > 0 and (
            deadline < self.latest
            or SIMILAR_BUDGETS * (deadline - now) < self._budget_s
            or priority < self._last_priority
            or not self._has_one_method
        ):
            return 0.0
        return late_s

    def add(self, rows: int, deadline: float, priority: int, method: str) -> None:
        """Count a call that is sent."""
        self._answer_at += rows * self._row_s
        if deadline > self.latest:
            self.latest = deadline
        self._last_priority = priority
        if method is not self._method and method != self._method:
            self._has_one_method = not self._method
            self._method = method

    def forget(self) -> None:
        """Start again: the runner died, and its queue with it."""
        self._answer_at = self.latest = 0.0

    def count_refusal(self) -> None:
        """Count a call or request that would be late."""
        self._refused("predicted_late").add()

    def error(self, late_s: float) -> OverloadedError:
        """Return the error of such a call."""
        return OverloadedError(
            f"runner {self._runner!r} refused the request: its queue is too long "
            "to meet the deadline; retry later",
            retry_after_s=late_s,
        )


class EarlyRejection:
    """Refuses requests whose function would only have its runner call refused.

    Under overload most requests end here: decoding them and starting the function would
    take the time that the others need.

    Attributes:
        queue: Of the runner that the last function called first.
        is_certain: Whether `answer_of` may refuse.
    """

    def __init__(self) -> None:
        self.queue: QueueDelayEstimate | None = None
        self._streak = 0
        """Requests in a row that ended with the error of their refused call."""
        self.is_certain = False
        self._checked = 0
        self._answers: dict[int, Answer] = {}

    def learn(
        self,
        queue: QueueDelayEstimate | None,
        *,
        was_refused: bool,
        succeeded: bool,
    ) -> None:
        """Update from a function that called another runner or had a call refused.

        Args:
            queue: Of the runner that it called first; None if it called none.
            was_refused: Whether a call was refused.
            succeeded: Whether it returned an answer all the same: then it has to run
                each time.
        """
        if queue is not self.queue:
            self.queue = queue
            self._streak = 0
        if was_refused:
            self._streak = 0 if succeeded else self._streak + 1
        self.is_certain = self._streak >= _CERTAIN_AFTER

    def answer_of(self, deadline: float, priority: int, now: float) -> Answer | None:
        """Return the answer that refuses a request; None if its function is to run."""
        queue = self.queue
        if not self.is_certain or queue is None:
            return None
        late_s = queue.late_s(deadline, priority, now)
        if late_s <= 0:
            return None
        self._checked += 1
        if self._checked % _CHECK_EVERY == 0:
            return None  # its call is refused and counted, if it is still late
        queue.count_refusal()
        # The text is always the same, and Retry-After counts whole seconds.
        seconds = math.ceil(late_s)
        answer = self._answers.get(seconds)
        if answer is None:
            if len(self._answers) >= _ANSWERS_KEPT:
                self._answers.clear()
            answer = self._answers[seconds] = render_error(queue.error(seconds))
        return answer


class ConcurrencyLimit:
    """Bounds the requests that a worker serves at once.

    Args:
        most: Requests at once.
        refused: Finds the counter of refusals by reason.
    """

    def __init__(self, *, most: int, refused: Callable[[str], Counter]) -> None:
        self._most = most
        self._refused = refused
        self.serving = 0

    def enter(self) -> None:
        """Count a request in; `leave` must follow.

        Raises:
            TooManyRequestsError: If as many are being served already.
        """
        if self.serving >= self._most:
            self._refused("max_concurrency").add()
            raise TooManyRequestsError(
                f"{self.serving} requests are being served already "
                "(api_server.max_concurrency); retry later",
                retry_after_s=1.0,
            )
        self.serving += 1

    def leave(self) -> None:
        """Count a request out."""
        self.serving -= 1


class Watched(Protocol):
    """A request, or a group of calls, with a deadline."""

    deadline: float
    slot: Any
    """The watch's own; None while it is not watched."""

    def expire(self) -> None:
        """End it: the deadline has passed."""
        ...


class DeadlineWatch:
    """Watches all deadlines of an API worker.

    Deadlines are kept in slots of 10 ms with one timer for all: entering and leaving
    cost a set operation each, and nothing is kept of a request that was answered.

    Args:
        clock: The time for deadlines.
        loop: Runs the timer.
    """

    def __init__(self, *, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self.now: Callable[[], float] = clock.now
        self.loop = loop
        self._slots: dict[int, set[Watched]] = {}
        # The slot of the last deadline is that of the next, most of the time.
        self._slot: set[Watched] = set()
        self._slot_from = self._slot_to = 0.0
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_slot = 0

    def enter(self, watched: Watched) -> None:
        """Call `watched.expire` once its deadline passes, unless it leaves before."""
        if not self._slot_from <= watched.deadline < self._slot_to:
            if watched.deadline == math.inf:
                return
            self._find_slot(watched.deadline)
        watched.slot = self._slot
        self._slot.add(watched)

    def _find_slot(self, deadline: float) -> None:
        last, last_number = self._slot, self._number
        # The slot after: nothing expires before its deadline.
        number = self._number = int(deadline / _SLOT_S) + 1
        self._slot = self._slots.setdefault(number, set())
        self._slot_from, self._slot_to = (number - 1) * _SLOT_S, number * _SLOT_S
        if not last:
            self._drop(last_number, last)
        if self._timer is None or number < self._timer_slot:
            self._set_timer(number)

    def leave(self, watched: Watched) -> None:
        """Watch it no longer."""
        slot = watched.slot
        if slot is not None:
            watched.slot = None
            slot.discard(watched)
            if not slot:
                self._drop(int(watched.deadline / _SLOT_S) + 1, slot)

    def _drop(self, number: int, slot: set[Watched]) -> None:
        """Forget an empty slot, unless it is likely to be the next deadline's."""
        if slot is not self._slot and self._slots.get(number) is slot:
            del self._slots[number]

    def _set_timer(self, number: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_slot = number
        delay = max(number * _SLOT_S - self.now(), 0)
        self._timer = self.loop.call_later(delay, self._expire)

    def _expire(self) -> None:
        self._timer = None
        current = int(self.now() / _SLOT_S)
        for number in sorted(n for n in self._slots if n <= current):
            slot = self._slots.pop(number)
            if slot is self._slot:
                self._slot_from = self._slot_to = 0.0
            for watched in list(slot):
                watched.expire()
        if self._slots:
            self._set_timer(min(self._slots))

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
