"""Sends one request rate to a server and checks whether the target was kept.

tuner calls `probe` for each trial; the walk and a benchmark call `find_limit`.
open_loop sends the traffic.
"""

from typing import Any

import msgspec
import numpy as np

from headway.tools.open_loop.traffic import (
    NOT_SENT,
    UNANSWERED,
    Outcomes,
    Phase,
    Traffic,
    send,
)
from headway.tools.sample_request import SampleRequest, send_sample
from headway.tools.tune.search import RateSearch, best
from headway.tools.tune.trial import FAILED, Setting, Trial

_OK = 200
_LATE = 0.01
_HOPELESS = 0.1
"""Share of late requests that ends a probe early; a disturbance causes fewer."""
_LONGEST_S = 8.0
_ENOUGH = 40
"""Minimum requests, at low rates."""
_IDLE_REQUESTS = 4
_START_S = 1.0
"""Time for the generator to start and to end."""
_UNBOUND = float("inf")


class Target(msgspec.Struct, frozen=True):
    """The target: 99% of requests in time, 99.9% answered 200."""

    p99_ms: float
    seconds: float = 1.5
    """Measured time at each rate."""
    settle_s: float = 0.5
    """Time at the rate before the measurement."""

    @property
    def probe_s(self) -> float:
        """Maximum duration of a probe, except at very low rates."""
        return _START_S + self.settle_s + self.seconds + 2 * self.p99_ms / 1000


def probe(
    url: str,
    sample: SampleRequest,
    target: Target,
    *,
    per_s: float,
    setting: Setting = (),
    confirms: bool = False,
) -> Trial:
    """Send requests at one rate and return the trial.

    Args:
        url: URL of the server.
        sample: The request to send.
        target: The target to keep.
        per_s: Requests per second.
        setting: The server's setting, for the record.
        confirms: Whether to measure twice as long.

    Raises:
        TrafficError: If no request could be sent.
    """
    for _ in range(_IDLE_REQUESTS):
        # Waits until the work left by an earlier probe is done. Several times, as each
        # connection may belong to another API worker.
        send_sample(url, sample)
    seconds = target.seconds * (2 if confirms else 1)
    seconds = min(max(seconds, _ENOUGH / per_s), _LONGEST_S)
    settle_s = target.settle_s
    outcomes = send(
        Traffic(
            url=url + sample.route,
            phases=(Phase(per_s, settle_s), Phase(per_s, seconds)),
            body=sample.body,
            content_type=sample.content_type,
            deadline_ms=target.p99_ms,
            sends_deadline=False,
            most_missed=_HOPELESS,
            connections=min(64 + round(per_s / 50), 512),
            grace_s=target.p99_ms / 1000,
        )
    )
    kept, figures = judge(outcomes, seconds=seconds, target=target)
    return Trial(setting=setting, per_s=per_s, kept=kept, confirms=confirms, **figures)


def judge(
    outcomes: Outcomes, *, seconds: float, target: Target
) -> tuple[bool, dict[str, Any]]:
    """Return whether the target was kept, and the figures of the trial.

    Args:
        outcomes: Outcomes of the probe, including the time before the measurement.
        seconds: Measured time.
        target: The target to keep.
    """
    settle_s = target.settle_s
    watched = outcomes.between(settle_s, settle_s + seconds)
    offered = max(len(watched.status), 1)
    in_time = float(watched.is_in_time.sum()) / offered
    # If the probe ended early, the requests not sent say nothing.
    sent = watched.status != NOT_SENT
    unanswered = watched.status == UNANSWERED
    ended_s = float(
        np.nanmax(np.concatenate([[settle_s], outcomes.sent, outcomes.answered]))
    )
    ended_s = min(max(ended_s, settle_s + 0.001), settle_s + seconds)
    took_s = np.where(
        watched.status == _OK,
        watched.latency_s,
        np.where(unanswered, ended_s - watched.scheduled, np.inf),
    )[sent]
    p99_s = (
        float(np.quantile(took_s, 1 - _LATE, method="higher")) if sent.any() else np.inf
    )
    failed = float((np.isinf(took_s)).mean()) if sent.any() else 1.0
    answered = outcomes.answered[outcomes.status == _OK]
    within = (answered >= settle_s) & (answered < ended_s)
    lag_s = (watched.sent - watched.scheduled)[sent]
    kept = in_time >= 1 - _LATE and failed <= FAILED
    return kept, {
        "p99_ms": p99_s * 1e3 if np.isfinite(p99_s) else None,
        "ok_per_s": float(within.sum()) / (ended_s - settle_s),
        "in_time": in_time,
        "failed": failed,
        "lag_p99_ms": float(np.quantile(lag_s, 0.99)) * 1e3 if sent.any() else 0.0,
    }


def find_limit(
    url: str,
    sample: SampleRequest,
    target: Target,
    *,
    setting: Setting = (),
    precision: float = 1.08,
) -> tuple[Trial | None, list[Trial]]:
    """Return the trial at the highest rate kept, if any, and all trials.

    Args:
        url: URL of the server.
        sample: The request to send.
        target: The target to keep.
        setting: The server's setting, for the record.
        precision: Rates within this factor of each other count as equal.

    Raises:
        TrafficError: If no request could be sent.
    """
    search = RateSearch(
        values=tuple((value,) for value in setting),
        trial_s=0.0,
        confirm_s=0.0,
        precision=precision,
        confirmations=0,
    )
    trials: list[Trial] = []
    while step := search.next_trial(trials, _UNBOUND):
        trials.append(
            probe(url, sample, target, per_s=step.per_s, setting=step.setting)
        )
    return best(trials), trials
