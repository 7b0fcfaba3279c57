"""Loaded by Locust beside the locustfile: reports to the demo, as lines of JSON.

The file descriptor is in $DEMO_REPORT_FD. Figures are Locust's own: whole milliseconds,
two digits above 100.
"""

import gc
import json
import os
import time

import gevent
from locust import events
from locust.stats import calculate_response_time_percentile as percentile
from locust.stats import diff_response_time_dicts

PROGRESS_INTERVAL_S = 0.5


class Moment:
    """What Locust had counted at some time."""

    def __init__(self, stats):
        self.at = time.monotonic()
        self.cpu_s = time.process_time()
        self.requests = stats.total.num_requests
        self.failures = stats.total.num_failures
        self.times = dict(stats.total.response_times)

    def since(self, earlier):
        """Return the figures of what came after an earlier moment."""
        seconds = self.at - earlier.at
        times = diff_response_time_dicts(self.times, earlier.times)
        count = sum(times.values())
        return {
            "seconds": round(seconds, 2),
            "requests": self.requests - earlier.requests,
            "failures": self.failures - earlier.failures,
            "rps": round((self.requests - earlier.requests) / seconds, 1),
            "p50_ms": percentile(times, count, 0.50),
            "p90_ms": percentile(times, count, 0.90),
            "p99_ms": percentile(times, count, 0.99),
            "max_ms": max(times, default=0),
            "locust_cores": round((self.cpu_s - earlier.cpu_s) / seconds, 2),
        }


class Watch:
    def __init__(self, environment, pipe):
        self._environment = environment
        self._pipe = pipe
        self._start = Moment(environment.stats)
        self._spawned = None
        self._steady = None
        events.test_start.add_listener(self.on_start)
        events.spawning_complete.add_listener(self.on_spawned)
        events.test_stopping.add_listener(self.on_stopping)
        events.quitting.add_listener(self.on_quitting)

    def on_start(self, **_):
        self._start = Moment(self._environment.stats)
        gevent.spawn(self._report_progress)

    def on_spawned(self, **_):
        self._spawned = Moment(self._environment.stats)
        self._tell("spawned")

    def on_stopping(self, **_):
        if self._spawned is not None:
            self._steady = Moment(self._environment.stats).since(self._spawned)
        self._tell("stopping")

    def on_quitting(self, **_):
        stats = self._environment.stats
        errors = [
            f"{entry.occurrences} x {entry.error}" for entry in stats.errors.values()
        ]
        errors += [
            f"{entry['count']} x {entry['msg']}"
            for entry in self._environment.runner.exceptions.values()
        ]
        whole = Moment(stats).since(self._start)
        self._tell("result", whole=whole, steady=self._steady, errors=errors)

    def _report_progress(self):
        while True:
            if self._spawned is None:
                # To collect garbage among the sessions of 1,000 users takes 0.1 s every
                # few seconds, and Locust would time that. They stay: pass them over.
                gc.freeze()
            stats = self._environment.stats
            self._tell(
                "progress",
                users=self._environment.runner.user_count,
                requests=stats.total.num_requests,
                failures=stats.total.num_failures,
            )
            gevent.sleep(PROGRESS_INTERVAL_S)

    def _tell(self, event, **values):
        try:
            print(json.dumps({"event": event, **values}), file=self._pipe, flush=True)
        except BrokenPipeError:  # the demo was killed
            os._exit(1)


@events.init.add_listener
def watch(environment, **_):
    Watch(environment, os.fdopen(int(os.environ["DEMO_REPORT_FD"]), "w"))
