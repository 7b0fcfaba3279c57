"""The metric families that Headway counts, as constants.

Code that counts passes one of these to its MetricsRegistry. docs/reference/metrics.md
is generated from them.
"""

from typing import Final, Literal

import msgspec

from headway.config.schema import DURATION_BOUNDS_S

LOG_EVENTS: Final = 64
"""Events that a log keeps."""

_ROWS = tuple(float(2**power) for power in range(11))


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """A metric and the names of its labels; each set of label values is a series."""

    name: str
    """As scraped; that of a counter ends in `_total`."""
    help: str
    kind: Literal["counter", "gauge", "histogram", "log"]
    """A log keeps the last events, for the live page; it is never scraped."""
    labels: tuple[str, ...] = ()
    """Names of the labels, in the order of their values."""
    unit: Literal["rows", "seconds"] = "rows"
    """Unit of the value; seconds are stored as integer nanoseconds."""
    bounds: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets, rising, without infinity."""
    merge: Literal["sum", "max"] = "sum"
    """How to combine the values of several processes."""

    @property
    def scale(self) -> int:
        """Stored integers per unit."""
        return 1_000_000_000 if self.unit == "seconds" else 1

    @property
    def cells(self) -> int:
        """Integers that a series takes; see Histogram and Log for their order."""
        if self.kind == "log":
            return 1 + 2 * LOG_EVENTS
        return len(self.bounds) + 2 if self.kind == "histogram" else 1

    def with_bounds(self, bounds: tuple[float, ...]) -> "Family":
        """Return the same histogram with other buckets."""
        return msgspec.structs.replace(self, bounds=bounds)


REQUESTS = Family(
    name="headway_requests_total",
    help="Requests answered, by endpoint and status code.",
    kind="counter",
    labels=("endpoint", "code"),
)
REQUEST_DURATION = Family(
    name="headway_request_duration_seconds",
    help="Time from the last byte of a request to its response.",
    kind="histogram",
    labels=("endpoint",),
    unit="seconds",
    bounds=DURATION_BOUNDS_S,
)
REQUESTS_IN_PROGRESS = Family(
    name="headway_requests_in_progress",
    help="Requests received and not answered yet.",
    kind="gauge",
    labels=("endpoint",),
)
REFUSED = Family(
    name="headway_refused_total",
    help="Calls refused before any work was done, by reason.",
    kind="counter",
    labels=("reason",),
)
CONNECTIONS_MOVED = Family(
    name="headway_connections_moved_total",
    help="Connections moved from a busy API worker to a less busy one.",
    kind="counter",
)
BATCH_SIZE_ROWS = Family(
    name="headway_runner_batch_size_rows",
    help="Rows in each batch.",
    kind="histogram",
    labels=("runner", "method"),
    bounds=_ROWS,
)
QUEUE_WAIT_SECONDS = Family(
    name="headway_runner_queue_wait_seconds",
    help="Time from a call's arrival in the runner to its dispatch.",
    kind="histogram",
    labels=("runner", "method"),
    unit="seconds",
    bounds=DURATION_BOUNDS_S,
)
INFERENCE_SECONDS = Family(
    name="headway_runner_inference_seconds",
    help="Time that the model took for each batch.",
    kind="histogram",
    labels=("runner", "method"),
    unit="seconds",
    bounds=DURATION_BOUNDS_S,
)
QUEUE_ROWS = Family(
    name="headway_runner_queue_rows",
    help="Queued rows.",
    kind="gauge",
    labels=("runner",),
)
BATCH_COST_SECONDS = Family(
    name="headway_runner_batch_cost_seconds",
    help="Learned time of a batch, by its rows; 0 if unknown.",
    kind="gauge",
    labels=("runner", "method", "rows", "statistic"),
    unit="seconds",
    merge="max",
)
RECENT_BATCHES = Family(
    name="headway_runner_recent_batches",
    help="Rows and nanoseconds of the last batches.",
    kind="log",
    labels=("runner", "method"),
)
REPLICA_UP = Family(
    name="headway_replica_up",
    help="1 while the replica is ready for batches, otherwise 0.",
    kind="gauge",
    labels=("runner", "replica"),
)
REPLICA_BUSY = Family(
    name="headway_replica_busy",
    help="1 while the replica computes a batch, otherwise 0.",
    kind="gauge",
    labels=("runner", "replica"),
)
REPLICA_BUSY_SECONDS = Family(
    name="headway_replica_busy_seconds_total",
    help="Time that the replica spent computing.",
    kind="counter",
    labels=("runner", "replica"),
    unit="seconds",
)
RUNNER_ROWS = Family(
    name="headway_runner_rows_total",
    help="Rows computed by the model.",
    kind="counter",
    labels=("runner", "method"),
)
ISOLATION_CALLS = Family(
    name="headway_isolation_calls_total",
    help="Extra model calls, to isolate bad inputs.",
    kind="counter",
    labels=("runner", "method"),
)
WASTED_ROWS = Family(
    name="headway_wasted_rows_total",
    help="Wasted rows: computed after the caller left or the deadline passed.",
    kind="counter",
    labels=("runner",),
)
CANCELLED_ROWS = Family(
    name="headway_cancelled_rows_total",
    help="Rows removed from the queue because their caller left.",
    kind="counter",
    labels=("runner",),
)
ACCESS_LOG_DROPPED = Family(
    name="headway_access_log_dropped_total",
    help="Requests missing from the access log because its reader was too slow.",
    kind="counter",
)
PROCESS_RESTARTS = Family(
    name="headway_process_restarts_total",
    help="Processes that died and were restarted.",
    kind="counter",
    labels=("process",),
)
BUILD_INFO = Family(
    name="headway_build_info",
    help="Always 1; the labels hold the versions.",
    kind="gauge",
    labels=("version", "python"),
    merge="max",
)
