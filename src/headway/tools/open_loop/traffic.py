"""Open-loop traffic: what to send and when, and the outcome of each request.

The tuner, the walk and the benchmarks describe traffic and call `send`, which runs
generator as a child process.
"""

import io
import os
import subprocess
import sys
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from headway.errors import TrafficError
from headway.tools.open_loop.connections import request_bytes

UNANSWERED = 0
NOT_SENT = -1
"""All connections were busy, or the run was over."""
LOST = -2
"""The connection broke before the answer was complete."""

_OK = 200
_REFUSED = (429, 503)
_EXPIRED = 504
_START_S = 60.0


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Counts that add up to `offered`, and latencies from the scheduled send time."""

    offered: int
    in_time: int
    """200 within the deadline."""
    late: int
    """200 after the deadline, or 504."""
    refused: int
    """429 and 503."""
    failed: int
    """Any other status."""
    lost: int
    unanswered: int
    not_sent: int
    in_time_per_s: float
    ok_p50_ms: float
    ok_p99_ms: float
    ok_max_ms: float
    refused_p50_ms: float
    refused_p99_ms: float
    refused_max_ms: float
    lag_p99_ms: float
    """Delay of the generator itself: from the scheduled to the real send time."""
    statuses: str
    """Answers by status code, as in "200: 12, 503: 3"."""

    def row(self) -> dict[str, Any]:
        """Return it as a row of a table."""
        fields = msgspec.structs.asdict(self)
        return {name.replace("_", " "): value for name, value in fields.items()}


class Outcomes(msgspec.Struct, frozen=True):
    """Arrays with one element per request; times are seconds from `began`."""

    began: float
    """Monotonic time of the start of the schedule."""
    deadline_s: float
    scheduled: NDArray[np.float64]
    sent: NDArray[np.float64]
    """When the request was given a connection."""
    answered: NDArray[np.float64]
    status: NDArray[np.int16]
    """Status code of the answer, or one of UNANSWERED, NOT_SENT and LOST."""

    def to_bytes(self) -> bytes:
        """Return it as the content of an .npz file."""
        buffer = io.BytesIO()
        np.savez(buffer, **msgspec.structs.asdict(self))
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` returned."""
        with np.load(io.BytesIO(data)) as arrays:
            return cls(
                began=float(arrays["began"]),
                deadline_s=float(arrays["deadline_s"]),
                scheduled=arrays["scheduled"],
                sent=arrays["sent"],
                answered=arrays["answered"],
                status=arrays["status"],
            )

    @property
    def latency_s(self) -> NDArray[np.float64]:
        """From the scheduled send time to the answer."""
        return self.answered - self.scheduled

    @property
    def is_late(self) -> NDArray[np.bool_]:
        """Answered 504, or 200 after the deadline."""
        too_slow = (self.status == _OK) & (self.latency_s > self.deadline_s)
        return np.asarray(too_slow | (self.status == _EXPIRED))

    @property
    def is_in_time(self) -> NDArray[np.bool_]:
        """Answered 200 within the deadline."""
        return np.asarray((self.status == _OK) & (self.latency_s <= self.deadline_s))

    def between(self, start_s: float, end_s: float) -> Self:
        """Return the requests scheduled from `start_s` up to before `end_s`."""
        first, last = np.searchsorted(self.scheduled, (start_s, end_s))
        return type(self)(
            began=self.began,
            deadline_s=self.deadline_s,
            scheduled=self.scheduled[first:last],
            sent=self.sent[first:last],
            answered=self.answered[first:last],
            status=self.status[first:last],
        )

    def summary(self, seconds: float) -> Summary:
        """Return the summary of these requests, offered within `seconds`."""
        codes, counts = np.unique(self.status[self.status > 0], return_counts=True)
        refused = np.isin(self.status, _REFUSED)
        ok = _quantiles_ms(self.latency_s[self.status == _OK])
        no = _quantiles_ms(self.latency_s[refused])
        was_sent = self.status != NOT_SENT
        in_time, late = int(self.is_in_time.sum()), int(self.is_late.sum())
        return Summary(
            offered=len(self.status),
            in_time=in_time,
            late=late,
            refused=int(refused.sum()),
            failed=int(counts.sum()) - in_time - late - int(refused.sum()),
            lost=self._count(LOST),
            unanswered=self._count(UNANSWERED),
            not_sent=self._count(NOT_SENT),
            in_time_per_s=in_time / seconds,
            ok_p50_ms=ok[0],
            ok_p99_ms=ok[1],
            ok_max_ms=ok[2],
            refused_p50_ms=no[0],
            refused_p99_ms=no[1],
            refused_max_ms=no[2],
            lag_p99_ms=_quantiles_ms((self.sent - self.scheduled)[was_sent])[1],
            statuses=", ".join(
                f"{code}: {number}" for code, number in zip(codes, counts, strict=True)
            ),
        )

    def _count(self, status: int) -> int:
        return int((self.status == status).sum())

    def steps(self, start_s: float, end_s: float, step_s: float) -> list["Outcomes"]:
        """Return the requests of each interval of `step_s` between two times."""
        count = round((end_s - start_s) / step_s)
        edges = [start_s + i * step_s for i in range(count + 1)]
        return [self.between(*edges[i : i + 2]) for i in range(count)]

    @property
    def median_ok_ms(self) -> float:
        """Median latency of the 200s; infinite if there are none."""
        ok = self.latency_s[self.status == _OK]
        return float(np.median(ok)) * 1e3 if len(ok) else float("inf")


def _quantiles_ms(seconds: NDArray[np.float64]) -> list[float]:
    """Return median, 99th percentile and maximum; NaN if there are no values."""
    if not len(seconds):
        return [float("nan")] * 3
    found: Any = np.quantile(seconds, (0.5, 0.99, 1.0)) * 1e3
    return [float(value) for value in found]


class Phase(msgspec.Struct, frozen=True):
    """Poisson arrivals at one rate."""

    per_s: float
    seconds: float


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """Consecutive phases without a pause; all requests are equal."""

    url: str
    phases: tuple[Phase, ...]
    body: bytes
    content_type: str = "application/json"
    deadline_ms: float = 1000.0
    """From the scheduled send time; a later answer is late."""
    sends_deadline: bool = True
    """Whether the requests carry the deadline, as Headway-Timeout-Ms."""
    most_missed: float | None = None
    """Stop early once more than this share of the last phase's requests has missed the
    deadline or failed; None: never."""
    connections: int = 256
    """Opened before the first phase."""
    max_connections: int = 8000
    """Maximum; further connections are opened while all are busy."""
    grace_s: float = 4.0
    """Wait for answers after the last deadline."""
    seed: int = 1

    @property
    def seconds(self) -> float:
        """Total duration of the phases."""
        return sum(phase.seconds for phase in self.phases)

    def request(self) -> bytes:
        """Return the bytes of a request."""
        headers = {"Content-Type": self.content_type}
        if self.sends_deadline:
            headers["Headway-Timeout-Ms"] = f"{self.deadline_ms:g}"
        return request_bytes(self.url, self.body, headers)

    def schedule(self) -> list[float]:
        """Return the send times of all requests, in seconds from the start."""
        random = np.random.default_rng(self.seed)
        times: list[float] = []
        began = 0.0
        for phase in self.phases:
            # Given their number, Poisson arrivals are uniform.
            count = random.poisson(phase.per_s * phase.seconds)
            offsets = np.sort(random.uniform(0.0, phase.seconds, count))
            times += (began + offsets).tolist()
            began += phase.seconds
        return times


def send(traffic: Traffic) -> Outcomes:
    """Send traffic from a child process and return the outcomes.

    Raises:
        TrafficError: If the process failed, for example because no server listens.
    """
    command = [
        *(sys.executable, "-m", "headway.tools.open_loop.generator"),
        str(os.getpid()),
    ]
    try:
        done = subprocess.run(
            command,
            input=msgspec.json.encode(traffic),
            capture_output=True,
            timeout=_START_S
            + traffic.seconds
            + traffic.deadline_ms / 1000
            + traffic.grace_s,
            check=False,
            start_new_session=True,  # Ctrl-C must not reach it
        )
    except subprocess.TimeoutExpired as error:
        raise TrafficError(f"the traffic to {traffic.url} did not end") from error
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = "".join(lines[-1:]) or f"exit code {done.returncode}"
        raise TrafficError(f"the traffic to {traffic.url} could not be sent: {reason}")
    return Outcomes.from_bytes(done.stdout)
