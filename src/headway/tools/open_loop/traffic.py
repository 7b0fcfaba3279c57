"""Open-loop traffic: what is sent when, whatever the server does.

The tuner, the walk and the benchmarks describe it and have it sent by a process of its
own, which runs generator.
"""

import os
import subprocess
import sys

import msgspec
import numpy as np

from headway.errors import TrafficError
from headway.tools.open_loop.message import request_bytes
from headway.tools.open_loop.outcomes import Outcomes

__all__ = ["Phase", "Traffic", "send"]

_START_S = 60.0


class Phase(msgspec.Struct, frozen=True):
    """Poisson arrivals at one rate."""

    per_s: float
    seconds: float


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """Phases that follow each other without a pause; all requests are the same."""

    url: str
    phases: tuple[Phase, ...]
    body: bytes
    content_type: str = "application/json"
    deadline_ms: float = 1000.0
    """From the scheduled send time; an answer after it is late."""
    sends_deadline: bool = True
    """Whether the server is told, by Headway-Timeout-Ms."""
    most_missed: float | None = None
    """End it once more than this share of the last phase's requests has certainly
    missed the deadline or failed; None: never."""
    connections: int = 256
    """Opened before the first phase."""
    max_connections: int = 8000
    """Up to which further ones are opened while all are busy."""
    grace_s: float = 4.0
    """Wait for answers after the last deadline."""
    seed: int = 1

    @property
    def seconds(self) -> float:
        """Of all phases."""
        return sum(phase.seconds for phase in self.phases)

    def request(self) -> bytes:
        """Return the bytes of each request."""
        headers = {"Content-Type": self.content_type}
        if self.sends_deadline:
            headers["Headway-Timeout-Ms"] = f"{self.deadline_ms:g}"
        return request_bytes(self.url, self.body, headers)

    def schedule(self) -> list[float]:
        """Return when each request is to be sent, in seconds from the beginning."""
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
    """Send it from a process of its own and return what became of it.

    Raises:
        TrafficError: If the process failed, as when nobody listens.
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
            start_new_session=True,  # Ctrl-C is for who started it
        )
    except subprocess.TimeoutExpired as error:
        raise TrafficError(f"the traffic to {traffic.url} did not end") from error
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = "".join(lines[-1:]) or f"exit code {done.returncode}"
        raise TrafficError(f"the traffic to {traffic.url} could not be sent: {reason}")
    return Outcomes.from_bytes(done.stdout)
