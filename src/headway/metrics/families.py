"""The metric families that Headway counts, as constants.

Whoever counts passes one of these to its MetricsRegistry.
"""

from typing import Literal

import msgspec

__all__ = [
    "ACCESS_LOG_DROPPED",
    "BATCH_COST_SECONDS",
    "BATCH_SIZE_ROWS",
    "BUILD_INFO",
    "CANCELLED_ROWS",
    "CONNECTIONS_MOVED",
    "INFERENCE_SECONDS",
    "ISOLATION_CALLS",
    "PROCESS_RESTARTS",
    "QUEUE_ROWS",
    "QUEUE_WAIT_SECONDS",
    "RECENT_BATCHES",
    "REFUSED",
    "REPLICA_BUSY",
    "REPLICA_BUSY_SECONDS",
    "REPLICA_UP",
    "REQUESTS",
    "REQUESTS_IN_PROGRESS",
    "REQUEST_DURATION",
    "RUNNER_ROWS",
    "WASTED_ROWS",
    "Family",
]

_DURATIONS_S = (
    *(0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05),
    *(0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0),
)
_ROWS = tuple(float(2**power) for power in range(11))


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """A metric and the names of its labels; each set of label values is a series."""

    name: str
    """As scraped; a counter's ends in `_total`."""
    help: str
    """One line for people."""
    kind: Literal["counter", "gauge", "histogram", "log"]
    """A log keeps the last events. It is for Headway's own pages, never scraped."""
    labels: tuple[str, ...] = ()
    """Names of the labels, in the order in which values are given."""
    unit: Literal["rows", "seconds"] = "rows"
    """What a histogram observes; a counter or gauge of seconds says so too. What is
    kept are integers: seconds in nanoseconds."""
    bounds: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets, rising, without infinity."""
    merge: Literal["sum", "max"] = "sum"
    """How the values of several processes become one."""

    @property
    def scale(self) -> int:
        """Kept integers in one unit."""
        return 1_000_000_000 if self.unit == "seconds" else 1

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
    help="Time from a request's last byte to its answer.",
    kind="histogram",
    labels=("endpoint",),
    unit="seconds",
    bounds=_DURATIONS_S,
)
REQUESTS_IN_PROGRESS = Family(
    name="headway_requests_in_progress",
    help="Requests received and not yet answered.",
    kind="gauge",
    labels=("endpoint",),
)
REFUSED = Family(
    name="headway_refused_total",
    help="Calls refused before any work was done for them, by reason.",
    kind="counter",
    labels=("reason",),
)
CONNECTIONS_MOVED = Family(
    name="headway_connections_moved_total",
    help="Connections moved from a busy API worker to an idler one.",
    kind="counter",
)
BATCH_SIZE_ROWS = Family(
    name="headway_runner_batch_size_rows",
    help="Rows in each batch that the model got.",
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
    bounds=_DURATIONS_S,
)
INFERENCE_SECONDS = Family(
    name="headway_runner_inference_seconds",
    help="Time that the model took for a batch.",
    kind="histogram",
    labels=("runner", "method"),
    unit="seconds",
    bounds=_DURATIONS_S,
)
QUEUE_ROWS = Family(
    name="headway_runner_queue_rows",
    help="Rows that wait in the runner.",
    kind="gauge",
    labels=("runner",),
)
BATCH_COST_SECONDS = Family(
    name="headway_runner_batch_cost_seconds",
    help="Learned time of a batch of so many rows; 0 as long as it is unknown.",
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
    help="1 while the replica can take batches, else 0.",
    kind="gauge",
    labels=("runner", "replica"),
)
REPLICA_BUSY = Family(
    name="headway_replica_busy",
    help="1 while the replica computes a batch, else 0.",
    kind="gauge",
    labels=("runner", "replica"),
)
REPLICA_BUSY_SECONDS = Family(
    name="headway_replica_busy_seconds_total",
    help="Time that the replica has computed.",
    kind="counter",
    labels=("runner", "replica"),
    unit="seconds",
)
RUNNER_ROWS = Family(
    name="headway_runner_rows_total",
    help="Rows that the model was given.",
    kind="counter",
    labels=("runner", "method"),
)
ISOLATION_CALLS = Family(
    name="headway_isolation_calls_total",
    help="Calls of the model beyond one for each batch, to isolate bad inputs.",
    kind="counter",
    labels=("runner", "method"),
)
WASTED_ROWS = Family(
    name="headway_wasted_rows_total",
    help="Rows computed for nobody: the caller had gone or the deadline had passed.",
    kind="counter",
    labels=("runner",),
)
CANCELLED_ROWS = Family(
    name="headway_cancelled_rows_total",
    help="Rows taken out of the queue because their caller had gone.",
    kind="counter",
    labels=("runner",),
)
ACCESS_LOG_DROPPED = Family(
    name="headway_access_log_dropped_total",
    help="Requests not in the access log, as its lines were taken too slowly.",
    kind="counter",
)
PROCESS_RESTARTS = Family(
    name="headway_process_restarts_total",
    help="Processes that died and were started again.",
    kind="counter",
    labels=("process",),
)
BUILD_INFO = Family(
    name="headway_build_info",
    help="Always 1; the labels say what runs.",
    kind="gauge",
    labels=("version", "python"),
    merge="max",
)
