"""Runs the load steps from inside Locust, and sends its parent the measurements.

Locust loads this file together with the locustfile; locust_process starts Locust and
reads the messages. All figures come from Locust's own statistics: nothing is parsed
from its output. Locust has replaced threads, events and sleep by gevent's, so that none
of them blocks it.
"""

import gc
import inspect
import math
import os
import threading
import time
from typing import Any, BinaryIO

import msgspec

from headway.tools.load.messages import (
    AgentMessage,
    AgentPlan,
    AllSpawned,
    Figures,
    LoadEnded,
    SecondPassed,
    StepBegan,
    StepEnded,
)

FD_VARIABLE = "HW_LOAD_FD"
PLAN_VARIABLE = "HW_LOAD_PLAN"
_TICK_S = 1.0
_ANSWERED_S = 90.0
_ENOUGH_ERRORS = 20


def bucket(milliseconds: float) -> float:
    """Round a time to three digits.

    Locust itself rounds to whole milliseconds, and to two digits from 100 ms on. The
    error would be a tenth of the p99 of a fast service.
    """
    if milliseconds < 10:
        return round(milliseconds, 2)
    if milliseconds < 100:
        return round(milliseconds, 1)
    if milliseconds < 1000:
        return round(milliseconds)
    return round(milliseconds, 2 - int(math.log10(milliseconds)))


def quantile(times: dict[float, int], share: float) -> float | None:
    """Return the smallest time within which a share of the requests was answered."""
    left = share * sum(times.values())
    found = None
    for found in sorted(times):
        left -= times[found]
        if left <= 0:
            break
    return found


class StatsSnapshot:
    """Locust's counters at one time."""

    def __init__(self, stats: Any) -> None:
        self.at = time.monotonic()
        self.cpu_s = time.process_time()
        self.requests: int = stats.total.num_requests
        self.failures: int = stats.total.num_failures
        self.times: dict[float, int] = dict(stats.total.response_times)

    def since(self, earlier: "StatsSnapshot", until: float | None = None) -> Figures:
        """Return the figures since an earlier snapshot.

        Args:
            earlier: The other snapshot.
            until: When the last request was sent, if before this snapshot.
        """
        seconds = max((until or self.at) - earlier.at, 1e-3)
        times = {
            taken: count - earlier.times.get(taken, 0)
            for taken, count in self.times.items()
            if count > earlier.times.get(taken, 0)
        }
        requests = self.requests - earlier.requests
        return Figures(
            seconds=round(seconds, 3),
            requests=requests,
            failures=self.failures - earlier.failures,
            rps=round(requests / seconds, 2),
            p50_ms=quantile(times, 0.5),
            p90_ms=quantile(times, 0.9),
            p99_ms=quantile(times, 0.99),
            max_ms=max(times, default=None),
            load_cores=round(
                (self.cpu_s - earlier.cpu_s) / max(self.at - earlier.at, 1e-3), 2
            ),
        )


class LoadAgent:
    """Runs the load steps once Locust starts its test.

    Args:
        environment: Locust's environment.
        pipe: Pipe to the parent.
        plan: The load steps.
    """

    def __init__(self, environment: Any, pipe: BinaryIO, plan: AgentPlan) -> None:
        self._environment = environment
        self._pipe = pipe
        self._plan = plan
        self._encoder = msgspec.json.Encoder()
        self._stopped = threading.Event()
        self._spawned = threading.Event()
        self._answered = threading.Event()
        self._step_number = -1
        """Number of the current load step; -1 before the first."""
        self._is_open = False
        self._is_over = False

    def listen(self) -> None:
        """Register with Locust's events."""
        # Locust calls this when it stops, while users still send. The first call reads
        # source files for 0.1 s, which would count as the server's latency.
        inspect.stack()
        events = self._environment.events
        events.test_start.add_listener(self._on_test_start)
        events.spawning_complete.add_listener(lambda **_: self._spawned.set())
        events.test_stopping.add_listener(lambda **_: self._stopped.set())
        events.test_stop.add_listener(lambda **_: self._answered.set())
        events.quitting.add_listener(self._on_quitting)

    def _on_test_start(self, **_: Any) -> None:
        if self._step_number < 0:
            self._step_number = 0
            threading.Thread(target=self._run_steps, daemon=True).start()

    def _on_quitting(self, **_: Any) -> None:
        """Send what was measured if Locust ends before the last step."""
        self._end_step(None)
        self._finish()

    def _run_steps(self) -> None:
        threading.Thread(target=self._tick, daemon=True).start()
        runner = self._environment.runner
        for number, step in enumerate(self._plan.steps):
            self._step_number = number
            if number:
                self._spawned.clear()
                # With several processes, this returns after all users are spawned.
                threading.Thread(
                    target=runner.start,
                    args=(step.users, step.spawn_per_s),
                    daemon=True,
                ).start()
            self._hold()
            if self._stopped.is_set() or step is self._plan.steps[-1]:
                break
            self._end_step(None)
        sent_until = time.monotonic()
        # Requests in flight are still answered, and belong to the last step.
        if not self._stopped.is_set():
            runner.stop()
        self._answered.wait(_ANSWERED_S)
        self._end_step(sent_until)
        self._finish()
        if not self._plan.stays:
            runner.quit()

    def _hold(self) -> None:
        """Hold a load step for its duration, or until the test is stopped."""
        self._began = self._last = StatsSnapshot(self._environment.stats)
        self._all_spawned: StatsSnapshot | None = None
        self._is_open = True
        self._send(StepBegan(self._step_number, self._began.at))
        ends = self._began.at + self._plan.step_s
        while not self._stopped.is_set() and time.monotonic() < ends:
            if self._all_spawned is None and self._spawned.is_set():
                self._all_spawned = StatsSnapshot(self._environment.stats)
                self._send(AllSpawned(self._step_number, self._all_spawned.at))
            event = self._stopped if self._all_spawned is not None else self._spawned
            event.wait(min(_TICK_S, max(0.0, ends - time.monotonic())))

    def _end_step(self, sent_until: float | None) -> None:
        if not self._is_open:
            return
        self._is_open = False
        now = StatsSnapshot(self._environment.stats)
        self._send_second(now)
        steady = self._all_spawned
        self._send(
            StepEnded(
                step=self._step_number,
                at=sent_until or now.at,
                users=self._environment.runner.target_user_count,
                whole=now.since(self._began, sent_until),
                steady=None if steady is None else now.since(steady, sent_until),
            )
        )

    def _tick(self) -> None:
        while not self._is_over:
            time.sleep(_TICK_S)
            if not self._is_open:
                continue
            self._send_second(StatsSnapshot(self._environment.stats))

    def _send_second(self, now: StatsSnapshot) -> None:
        """Send the figures since the last ones; the end of a step is a shorter span."""
        figures = now.since(self._last)
        self._last = now
        self._send(
            SecondPassed(
                step=self._step_number,
                at=now.at,
                users=self._environment.runner.user_count,
                figures=figures,
                failures=now.failures - self._began.failures,
            )
        )

    def _finish(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        counted = [
            (entry.occurrences, f"{entry.method} {entry.name}: {entry.error}")
            for entry in self._environment.stats.errors.values()
        ]
        counted += [
            (entry["count"], f"the locustfile raised {entry['msg']}")
            for entry in self._environment.runner.exceptions.values()
        ]
        counted.sort(key=lambda pair: -pair[0])
        self._send(
            LoadEnded(
                tuple(f"{count} x {text}" for count, text in counted[:_ENOUGH_ERRORS])
            )
        )

    def _send(self, message: AgentMessage) -> None:
        try:
            self._pipe.write(self._encoder.encode(message) + b"\n")
            self._pipe.flush()
        except BrokenPipeError:  # the parent was killed
            os._exit(1)


def _freeze_users(runner: Any) -> None:
    """Exclude the users' objects from garbage collection while users are spawned.

    Collecting garbage among the sessions of 1,000 users takes 0.1 s every few seconds,
    which would count as the server's latency.
    """
    users = 0
    while True:
        if runner.user_count > users:
            gc.freeze()
        users = runner.user_count
        time.sleep(_TICK_S)


def _on_init(environment: Any, **_: Any) -> None:
    threading.Thread(
        target=_freeze_users, args=(environment.runner,), daemon=True
    ).start()
    descriptor = int(os.environ[FD_VARIABLE])
    if environment.parsed_options.worker:
        os.close(descriptor)  # the parent reads until all copies are closed
        return
    plan = msgspec.json.decode(os.environ[PLAN_VARIABLE], type=AgentPlan)
    LoadAgent(environment, os.fdopen(descriptor, "wb"), plan).listen()


def _has_users(base: Any) -> bool:
    return any(
        (not kind.abstract and not kind.__module__.startswith("locust."))
        or _has_users(kind)
        for kind in base.__subclasses__()
    )


def _install() -> None:
    """Register with Locust's start, and make it measure to three digits.

    Raises:
        SystemExit: If the locustfile, which was loaded before, has no users. Locust
            would look for a test suite in it.
    """
    from locust import User, events, runners, stats

    if not _has_users(User):
        raise SystemExit("there is no Locust user in it, as in class Visitor(HttpUser)")
    hooks: Any = events
    timing: Any = stats
    timing.bucket_response_time = bucket
    runners.WORKER_REPORT_INTERVAL = _TICK_S
    hooks.init.add_listener(_on_init)


if PLAN_VARIABLE in os.environ:
    _install()
