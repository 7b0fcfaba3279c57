"""One rung of users by Locust, in a process of its own.

walk calls it for each rung and stage. Locust changes the whole process that imports it.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from headway.errors import MissingExtraError, TrafficError
from headway.leash import leashed
from headway.traffic.loading.ladder import Rung
from headway.traffic.question import Question

__all__ = ["RungFigures", "climb"]

_START_S = 30.0

_USERS = """
import base64
import json
import os

from locust import FastHttpUser, between, task

QUESTION = json.loads(os.environ["HW_WALK_QUESTION"])
BODY = base64.b64decode(QUESTION["body"])
HEADERS = {"Content-Type": QUESTION["content_type"]}


class Visitor(FastHttpUser):
    wait_time = between(0.01, 2)

    @task
    def ask(self):
        self.client.post(QUESTION["route"], BODY, headers=HEADERS)
"""


class RungFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How the users fared once all were there."""

    users: int
    rps: float
    p50_ms: float
    p99_ms: float
    failures: int


def climb(url: str, question: Question, rung: Rung, seconds: float) -> RungFigures:
    """Send the users of a rung to a server.

    Args:
        url: Of the server.
        question: What each user asks, 0.01 to 2 s after the last answer.
        rung: How many come, and how fast.
        seconds: How long they stay once all are there.

    Raises:
        MissingExtraError: If Locust is not installed.
        TrafficError: If it fails.
    """
    run_s = rung.users / rung.spawn_per_s + seconds
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "users.py"
        file.write_text(_USERS, encoding="utf-8")
        command = [
            *(sys.executable, "-m", "locust", "-f", str(file), "-H", url),
            *("--headless", "--only-summary", "--json", "--reset-stats"),
            *("-u", str(rung.users), "-r", f"{rung.spawn_per_s:g}"),
            *("-t", f"{run_s:.0f}s", "--stop-timeout", "0"),
        ]
        try:
            done = subprocess.run(
                leashed(command),
                env={
                    **os.environ,
                    "HW_WALK_QUESTION": msgspec.json.encode(question).decode(),
                },
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=run_s + _START_S,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired as error:
            raise TrafficError(f"Locust did not end within {run_s:.0f} s") from error
    if b"No module named locust" in done.stderr:
        raise MissingExtraError("the walk needs Locust: pip install 'headway[load]'")
    return figures_of(done.stdout, done.stderr, rung)


def figures_of(output: bytes, log: bytes, rung: Rung) -> RungFigures:
    """Return the figures in what Locust printed.

    Raises:
        TrafficError: If there are none.
    """
    try:
        [entry] = msgspec.json.decode(output)
    except (msgspec.DecodeError, ValueError) as error:
        lines = log.decode("utf-8", "replace").strip().splitlines() or ["nothing"]
        raise TrafficError(f"Locust measured nothing: {lines[-1]}") from error
    times = sorted((float(ms), count) for ms, count in entry["response_times"].items())
    took_s = entry["last_request_timestamp"] - entry["start_time"]
    return RungFigures(
        users=rung.users,
        rps=entry["num_requests"] / max(took_s, 0.001),
        p50_ms=_quantile(times, 0.5),
        p99_ms=_quantile(times, 0.99),
        failures=entry["num_failures"],
    )


def _quantile(times: list[tuple[float, int]], share: float) -> float:
    left = share * sum(count for _, count in times)
    for milliseconds, count in times:
        left -= count
        if left <= 0:
            return milliseconds
    return 0.0
