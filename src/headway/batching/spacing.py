"""Several replicas: how many rows to gather so that batches start evenly spaced.

If every idle replica took what waits, however little, a few rows would occupy all of
them, and the rest would wait until all come back at about the same time. The least mean
wait is had when they start one after the other, each with its share of what arrives:
with L rows arriving per second and R replicas, batches of the n for which R batches of
n rows serve just L rows per second. The scheduler asks here whenever it could dispatch
and has more than one replica; with one, batching/gather says whether waiting pays.
"""

from headway.batching.cost_model import CostModel

__all__ = ["spaced_until"]


def spaced_until(
    *,
    waiting: int,
    cap: int,
    oldest_at: float,
    rows_per_s: float,
    replicas: int,
    cost: CostModel,
) -> float | None:
    """Return until when to wait for a share of the arriving rows, or None for no wait.

    Args:
        waiting: Rows that could go now.
        cap: Rows in a batch at the most.
        oldest_at: When the first of them came.
        rows_per_s: Rows that arrive.
        replicas: How many there are, at least 2.
        cost: S(n).
    """
    if not cost.knows or rows_per_s <= 0.0:
        return None
    share = cost.fewest_rows(rows_per_s / replicas, cap)
    if waiting >= share:
        return None
    return oldest_at + share / rows_per_s
