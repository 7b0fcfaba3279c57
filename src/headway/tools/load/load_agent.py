"""Climbs the ladder from inside Locust, and tells its parent what it measures.

Locust loads it beside the locustfile; locust_process starts that Locust, and reads what
is sent. All of Locust's figures are here: nothing is parsed from what it prints. Locust
has made threads, events and sleeps those of gevent, so that none of them blocks it.
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
    Began,
    Ended,
    Figures,
    Message,
    Orders,
    Over,
    Spawned,
    Tick,
)

__all__ = ["FD_VARIABLE", "ORDERS_VARIABLE", "bucket"]

FD_VARIABLE = "HW_LOAD_FD"
ORDERS_VARIABLE = "HW_LOAD_ORDERS"
_TICK_S = 1.0
_ANSWERED_S = 90.0
_ENOUGH_ERRORS = 20


def bucket(milliseconds: float) -> float:
    """Round a time to three digits.

    Locust's own are whole milliseconds, and two digits from 100 on, which is a tenth
    of the 99th percentile of a fast service.
    """
    if milliseconds < 10:
        return round(milliseconds, 2)
    if milliseconds < 100:
        return round(milliseconds, 1)
    if milliseconds < 1000:
        return round(milliseconds)
    return round(milliseconds, 2 - int(math.log10(milliseconds)))


def quantile(times: dict[float, int], share: float) -> float | None:
    """Return the least time that a share of the requests had not more than."""
    left = share * sum(times.values())
    found = None
    for found in sorted(times):
        left -= times[found]
        if left <= 0:
            break
    return found


class Moment:
    """What Locust had counted at some time."""

    def __init__(self, stats: Any) -> None:
        self.at = time.monotonic()
        self.cpu_s = time.process_time()
        self.requests: int = stats.total.num_requests
        self.failures: int = stats.total.num_failures
        self.times: dict[float, int] = dict(stats.total.response_times)

    def since(self, earlier: "Moment", until: float | None = None) -> Figures:
        """Return the figures of what came after an earlier moment.

        Args:
            earlier: It.
            until: When requests were no longer sent, if that was before this moment.
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


class Agent:
    """Climbs, once, as soon as Locust starts its test.

    Args:
        environment: Locust's.
        pipe: To the parent.
        orders: What to do.
    """

    def __init__(self, environment: Any, pipe: BinaryIO, orders: Orders) -> None:
        self._environment = environment
        self._pipe = pipe
        self._orders = orders
        self._encoder = msgspec.json.Encoder()
        self._stopped = threading.Event()
        self._spawned = threading.Event()
        self._answered = threading.Event()
        self._rung = -1
        """Number of the rung that is climbed; -1 before the first one."""
        self._is_open = False
        self._is_over = False

    def listen(self) -> None:
        """Be told what Locust does."""
        # Locust does so as it stops, while users still send. The first time it reads
        # source files for 0.1 s, which would be timed as the server's.
        inspect.stack()
        events = self._environment.events
        events.test_start.add_listener(self._on_test_start)
        events.spawning_complete.add_listener(lambda **_: self._spawned.set())
        events.test_stopping.add_listener(lambda **_: self._stopped.set())
        events.test_stop.add_listener(lambda **_: self._answered.set())
        events.quitting.add_listener(self._on_quitting)

    def _on_test_start(self, **_: Any) -> None:
        if self._rung < 0:
            self._rung = 0
            threading.Thread(target=self._climb, daemon=True).start()

    def _on_quitting(self, **_: Any) -> None:
        """Tell what there is, if Locust ends before the ladder does."""
        self._end_rung(None)
        self._finish()

    def _climb(self) -> None:
        threading.Thread(target=self._tick, daemon=True).start()
        runner = self._environment.runner
        for number, rung in enumerate(self._orders.rungs):
            self._rung = number
            if number:
                self._spawned.clear()
                # The runner of several processes returns once all users are there.
                threading.Thread(
                    target=runner.start,
                    args=(rung.users, rung.spawn_per_s),
                    daemon=True,
                ).start()
            self._stay()
            if self._stopped.is_set() or rung is self._orders.rungs[-1]:
                break
            self._end_rung(None)
        sent_until = time.monotonic()
        # Those under way are still answered, and belong to the last rung.
        if not self._stopped.is_set():
            runner.stop()
        self._answered.wait(_ANSWERED_S)
        self._end_rung(sent_until)
        self._finish()
        if not self._orders.stays:
            runner.quit()

    def _stay(self) -> None:
        """Stay on a rung for its time, or until the test is stopped."""
        self._began = self._last = Moment(self._environment.stats)
        self._all_there: Moment | None = None
        self._is_open = True
        self._tell(Began(self._rung, self._began.at))
        ends = self._began.at + self._orders.rung_s
        while not self._stopped.is_set() and time.monotonic() < ends:
            if self._all_there is None and self._spawned.is_set():
                self._all_there = Moment(self._environment.stats)
                self._tell(Spawned(self._rung, self._all_there.at))
            which = self._stopped if self._all_there is not None else self._spawned
            which.wait(min(_TICK_S, max(0.0, ends - time.monotonic())))

    def _end_rung(self, sent_until: float | None) -> None:
        if not self._is_open:
            return
        self._is_open = False
        now = Moment(self._environment.stats)
        self._tell_second(now)
        steady = self._all_there
        self._tell(
            Ended(
                rung=self._rung,
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
            self._tell_second(Moment(self._environment.stats))

    def _tell_second(self, now: Moment) -> None:
        """Tell what came since it was last told; less than a second ends a rung."""
        figures = now.since(self._last)
        self._last = now
        self._tell(
            Tick(
                rung=self._rung,
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
        self._tell(
            Over(tuple(f"{count} x {text}" for count, text in counted[:_ENOUGH_ERRORS]))
        )

    def _tell(self, message: Message) -> None:
        try:
            self._pipe.write(self._encoder.encode(message) + b"\n")
            self._pipe.flush()
        except BrokenPipeError:  # the parent was killed
            os._exit(1)


def _spare_collections(runner: Any) -> None:
    """Pass over what users hold, as long as they come.

    To collect garbage among the sessions of 1,000 users takes 0.1 s every few seconds,
    and Locust would time that as the server's.
    """
    users = 0
    while True:
        if runner.user_count > users:
            gc.freeze()
        users = runner.user_count
        time.sleep(_TICK_S)


def _on_init(environment: Any, **_: Any) -> None:
    threading.Thread(
        target=_spare_collections, args=(environment.runner,), daemon=True
    ).start()
    descriptor = int(os.environ[FD_VARIABLE])
    if environment.parsed_options.worker:
        os.close(descriptor)  # the parent reads until the last one is closed
        return
    orders = msgspec.json.decode(os.environ[ORDERS_VARIABLE], type=Orders)
    Agent(environment, os.fdopen(descriptor, "wb"), orders).listen()


def _has_users(base: Any) -> bool:
    return any(
        (not kind.abstract and not kind.__module__.startswith("locust."))
        or _has_users(kind)
        for kind in base.__subclasses__()
    )


def _install() -> None:
    """Be told of Locust's start, and have it measure to three digits.

    Raises:
        SystemExit: If what was loaded before, the locustfile, has no users: Locust
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


if ORDERS_VARIABLE in os.environ:
    _install()
