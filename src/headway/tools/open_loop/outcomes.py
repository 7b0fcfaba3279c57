"""What became of each request of an open-loop run, and what that comes to.

generator fills it, request by request; the tuner, the walk and the benchmarks read it.
"""

import io
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["LOST", "NOT_SENT", "UNANSWERED", "Outcomes", "Summary"]

UNANSWERED = 0
NOT_SENT = -1
"""All connections were busy and no more might be opened, or the run was over."""
LOST = -2
"""The connection broke before the answer was complete."""

_OK = 200
_REFUSED = (429, 503)
_EXPIRED = 504


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
    """Of the generator itself: from the scheduled to the real sending."""
    statuses: str
    """How many answers had each, as in "200: 12, 503: 3"."""

    def row(self) -> dict[str, Any]:
        """Return it as a row of a table."""
        fields = msgspec.structs.asdict(self)
        return {name.replace("_", " "): value for name, value in fields.items()}


class Outcomes(msgspec.Struct, frozen=True):
    """Arrays with an element for each request; times are seconds from `began`."""

    began: float
    """Monotonic time of the schedule's beginning."""
    deadline_s: float
    scheduled: NDArray[np.float64]
    sent: NDArray[np.float64]
    """When a connection was taken for it, or began to be opened."""
    answered: NDArray[np.float64]
    status: NDArray[np.int16]
    """Of the answer, or one of UNANSWERED, NOT_SENT and LOST."""

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
        """Return the requests that were scheduled from `start_s` to before `end_s`."""
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
        """Return what these requests, offered in so many seconds, come to."""
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
        """Return the requests of each step of the time between."""
        count = round((end_s - start_s) / step_s)
        edges = [start_s + i * step_s for i in range(count + 1)]
        return [self.between(*edges[i : i + 2]) for i in range(count)]

    @property
    def median_ok_ms(self) -> float:
        """Median latency of the 200s; infinite if there are none."""
        ok = self.latency_s[self.status == _OK]
        return float(np.median(ok)) * 1e3 if len(ok) else float("inf")


def _quantiles_ms(seconds: NDArray[np.float64]) -> list[float]:
    """Return median, 99th percentile and maximum; not numbers if there are none."""
    if not len(seconds):
        return [float("nan")] * 3
    found: Any = np.quantile(seconds, (0.5, 0.99, 1.0)) * 1e3
    return [float(value) for value in found]
