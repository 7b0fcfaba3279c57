"""Sends one rate to a server for a moment and judges whether the target was kept.

tuner and walk call it; open_loop sends.
"""

from typing import Any

import msgspec
import numpy as np

from headway.tools.open_loop.outcomes import NOT_SENT, UNANSWERED, Outcomes
from headway.tools.open_loop.traffic import Phase, Traffic, send
from headway.tools.sample_request import Question, ask
from headway.tools.tune.trial import FAILED, Setting, Trial

__all__ = ["Target", "judge", "probe"]

_OK = 200
_LATE = 0.01
_HOPELESS = 0.1
"""Share of late requests that ends a probe: no short disturbance makes so many."""
_LONGEST_S = 8.0
_ENOUGH = 40
"""Requests at the least, at low rates."""
_IDLE_ASKS = 4
_START_S = 1.0
"""What a generator takes to start and to end."""


class Target(msgspec.Struct, frozen=True):
    """What is to be kept: 99 in 100 requests in time, 999 in 1,000 answered 200."""

    p99_ms: float
    seconds: float = 1.5
    """How long a rate is watched."""
    settle_s: float = 0.5
    """How long it is sent before."""

    @property
    def probe_s(self) -> float:
        """What a probe takes at the most, at rates that are not very low."""
        return _START_S + self.settle_s + self.seconds + 2 * self.p99_ms / 1000


def probe(
    url: str,
    question: Question,
    target: Target,
    *,
    per_s: float,
    setting: Setting = (),
    confirms: bool = False,
) -> Trial:
    """Send a rate and return how it was served.

    Args:
        url: Of the server.
        question: What is sent.
        target: What is to be kept.
        per_s: The rate.
        setting: Of the server, for the record.
        confirms: Whether to watch twice as long.

    Raises:
        TrafficError: If nothing could be sent.
    """
    for _ in range(_IDLE_ASKS):
        # Answered once what an earlier probe has left behind is computed; a new
        # connection may be another API worker's.
        ask(url, question)
    seconds = target.seconds * (2 if confirms else 1)
    seconds = min(max(seconds, _ENOUGH / per_s), _LONGEST_S)
    settle_s = target.settle_s
    outcomes = send(
        Traffic(
            url=url + question.route,
            phases=(Phase(per_s, settle_s), Phase(per_s, seconds)),
            body=question.body,
            content_type=question.content_type,
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
    """Return whether the target was kept, and the figures of a trial.

    Args:
        outcomes: Of a probe, its settling included.
        seconds: That were watched after it.
        target: What was to be kept.
    """
    settle_s = target.settle_s
    watched = outcomes.between(settle_s, settle_s + seconds)
    offered = max(len(watched.status), 1)
    in_time = float(watched.is_in_time.sum()) / offered
    # One that was ended early says nothing of those that were not sent.
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
