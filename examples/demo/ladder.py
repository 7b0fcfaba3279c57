"""Drives the served model by Locust, rung by rung of rising users."""

import json
import os
import sys
import threading
import time
import urllib.request
from collections import deque
from typing import NamedTuple

from children import DemoError
from prometheus_client.parser import text_string_to_metric_families

ENDING_S = 5  # for requests in flight
GRACE_S = 30  # for Locust's own start and end
RATE_REPORTS = 5  # the rate that is shown is over so many reports


class Rung(NamedTuple):
    users: int
    spawn_rate: float
    seconds: float


class Ladder:
    """Runs Locust once for each rung.

    Args:
        children: Starts Locust.
        folder: Where the locustfile is.
        url: Of the server.
        env: Locust's environment.
        logs: A folder for Locust's output.
    """

    def __init__(self, *, children, folder, url, env, logs):
        self._children = children
        self._folder = folder
        self._url = url
        self._env = env
        self._logs = logs

    def run(self, rung, progress):
        """Return the figures of one rung, as plain values."""
        reader, writer = os.pipe()
        batches = {"start": self._batches()}
        with open(reader, encoding="utf-8") as events:
            try:
                locust = self._start(rung, writer)
            finally:
                os.close(writer)
            limit_s = rung.seconds + ENDING_S + GRACE_S
            killer = threading.Timer(limit_s, locust.process.kill)
            killer.daemon = True
            killer.start()
            result = self._follow(events, rung, batches, progress)
        # Exit code 1 is Locust's when a request failed, which the figures say.
        code = self._children.stop(locust, timeout_s=ENDING_S)
        killer.cancel()
        if result is None or code not in (0, 1):
            raise locust.failure(f"ended with {code}, its figures incomplete")
        batches["end"] = self._batches()
        _add_mean_batch(result["whole"], batches, "start", "end")
        if result["steady"] is not None:
            _add_mean_batch(result["steady"], batches, "spawned", "stopping")
        return {**rung._asdict(), **result}

    def _start(self, rung, report_fd):
        watch = os.path.join(os.path.dirname(__file__), "watch.py")
        return self._children.start(
            "Locust",
            [
                *(sys.executable, "-m", "locust", "--headless", "--only-summary"),
                *("-f", f"locustfile.py,{watch}", "-H", self._url),
                *("-u", str(rung.users), "-r", f"{rung.spawn_rate:g}"),
                *("-t", f"{rung.seconds:g}s", "--stop-timeout", str(ENDING_S)),
            ],
            cwd=self._folder,
            env={**self._env, "DEMO_REPORT_FD": str(report_fd)},
            log=self._logs / f"locust-{rung.users}.log",
            pass_fds=(report_fd,),
        )

    def _follow(self, events, rung, batches, progress):
        result = None
        counts = deque(maxlen=RATE_REPORTS)
        for line in events:
            values = json.loads(line)
            event = values.pop("event")
            if event == "progress":
                now = time.monotonic()
                if not counts:
                    ends_at = now + rung.seconds
                counts.append((now, values["requests"]))
                then, count = counts[0]
                rps = (values["requests"] - count) / max(now - then, 0.001)
                left_s = max(0, round(ends_at - now))
                progress(
                    f"{values['users']:5} users  {rps:6.1f} RPS  "
                    f"{values['failures']} failures  {left_s:3} s left"
                )
            elif event == "result":
                result = values
            else:
                batches[event] = self._batches()
        return result

    def _batches(self):
        """Return how many batches the model has got, and how many rows in them."""
        url = f"{self._url}/metrics"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                text = response.read().decode()
        except OSError as error:
            raise DemoError(f"{url} does not answer: {error}") from error
        name = "headway_runner_batch_size_rows"
        totals = {f"{name}_count": 0.0, f"{name}_sum": 0.0}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name in totals:
                    totals[sample.name] += sample.value
        return tuple(totals.values())


def _add_mean_batch(figures, batches, begin, end):
    count, rows = (
        after - before
        for after, before in zip(batches[end], batches[begin], strict=True)
    )
    figures["mean_batch_rows"] = round(rows / count, 2) if count else None


def parse_ladder(text, seconds):
    """Return the rungs of a text such as 50/10,200/50."""
    try:
        pairs = [pair.split("/") for pair in text.split(",")]
        rungs = [Rung(int(users), float(rate), seconds) for users, rate in pairs]
    except ValueError:
        raise DemoError(
            f"{text!r} is no ladder: write users/spawn rate, as in 50/10,200/50"
        ) from None
    if not all(rung.users > 0 and rung.spawn_rate > 0 for rung in rungs):
        raise DemoError(f"{text!r} is no ladder: users and spawn rates are above 0")
    return rungs
