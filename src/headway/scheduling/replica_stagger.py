"""Several replicas: how many rows to gather so that batches start evenly spaced.

If every idle replica took what waits, however little, a few rows would occupy all of
them, and the rest would wait until all come back at about the same time. The least mean
wait is had when they start one after the other, each with its share of what arrives.
The scheduler asks here whenever it could dispatch and has more than one replica; with
one, scheduling/gather_window says whether waiting pays.
"""

from typing import Final

from headway.scheduling.cost_model import CostModel

__all__ = ["ReplicaStagger"]

_SPARE: Final = 1.0
"""Throughput of the replicas, with batches of a share each, over what arrives."""
_LEARNING_RATE: Final = 0.1
_TRY_EVERY: Final = 32


class ReplicaStagger:
    """How long to wait for a share of the rows, and whether any come meanwhile.

    Those who wait for their answers may be so few that each has a replica to itself:
    then nobody comes while a replica is idle, whatever the rate.
    """

    __slots__ = ("_held_rows", "_joined", "_skipped")

    def __init__(self) -> None:
        self._held_rows = 0
        self._joined = 1.0
        """Share of the waits in which rows came."""
        self._skipped = 0

    def wait_until(
        self,
        *,
        waiting: int,
        cap: int,
        oldest_at: float,
        rows_per_s: float,
        replicas: int,
        cost: CostModel,
        now: float,
    ) -> float | None:
        """Return until when to wait for a share of the rows, or None for no wait.

        With L rows arriving per second and R replicas, a share is the least n for which
        R batches of n rows serve L rows per second.

        Args:
            waiting: Rows that could go now.
            cap: Rows in a batch at the most.
            oldest_at: When the first of them came.
            rows_per_s: Rows that arrive.
            replicas: How many there are.
            cost: S(n).
            now: Monotonic seconds.
        """
        share = cost.fewest_rows(_SPARE * rows_per_s / replicas, cap)
        until = oldest_at + share / rows_per_s if rows_per_s > 0.0 else now
        # A smaller batch than any that was observed is tried: it may be a share.
        if waiting >= share or waiting < cost.smallest or until <= now:
            self._end(waiting)
            return None
        if not self._held_rows:
            if self._joined < 0.5:
                self._skipped += 1
                if self._skipped % _TRY_EVERY:
                    return None
            self._held_rows = waiting
        return until

    def _end(self, waiting: int) -> None:
        if self._held_rows:
            joined = waiting > self._held_rows
            self._joined += _LEARNING_RATE * (joined - self._joined)
            self._held_rows = 0
