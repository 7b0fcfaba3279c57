"""Open-loop traffic: what is sent when, whatever the server does.

The benchmarks describe it and have it sent by a process of its own, which runs
open_loop.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.message import request_bytes
from benchmarks.outcomes import Outcomes

__all__ = ["FLOWER", "Phase", "Traffic", "send"]

FLOWER = "[[5.1, 3.5, 1.4, 0.2]]"
_START_S = 60.0


class Phase(msgspec.Struct, frozen=True):
    """Poisson arrivals at one rate."""

    per_s: float
    seconds: float


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """Phases that follow each other without a pause; all requests are the same."""

    url: str
    phases: tuple[Phase, ...]
    body: str = FLOWER
    deadline_ms: float = 1000.0
    """Sent as Headway-Timeout-Ms; measured from the scheduled send time."""
    connections: int = 256
    """Opened before the first phase."""
    max_connections: int = 8000
    """Up to which further ones are opened while all are busy."""
    seed: int = 1

    @property
    def seconds(self) -> float:
        """Of all phases."""
        return sum(phase.seconds for phase in self.phases)

    def request(self) -> bytes:
        """Return the bytes of each request."""
        deadline = {"Headway-Timeout-Ms": f"{self.deadline_ms:g}"}
        return request_bytes(self.url, self.body, deadline)

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
    """Send it from a process of its own and return what became of it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "outcomes.npz"
        command = [
            *(sys.executable, "-m", "benchmarks.open_loop", traffic.url),
            *(f"--phase={p.per_s},{p.seconds}" for p in traffic.phases),
            *("--body", traffic.body, "--deadline-ms", str(traffic.deadline_ms)),
            *("--connections", str(traffic.connections)),
            *("--max-connections", str(traffic.max_connections)),
            *("--seed", str(traffic.seed), "--save", str(file)),
        ]
        limit_s = _START_S + traffic.seconds + traffic.deadline_ms / 1000
        subprocess.run(command, check=True, timeout=limit_s, stdout=subprocess.DEVNULL)
        return Outcomes.load(file)
