"""One rung of users by Locust, who ask one question.

walk calls it for each rung and stage; traffic/loading makes the load.
"""

import tempfile
from pathlib import Path

import msgspec

from headway.tools.load.ladder import Rung
from headway.tools.load.load import Load, LoadPlan
from headway.tools.load.users_file import closed_users
from headway.tools.sample_request import Question

__all__ = ["RungFigures", "climb"]


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
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "users.py"
        file.write_text(closed_users([question]), encoding="utf-8")
        plan = LoadPlan(
            url=url,
            locustfile=file,
            users_from=question.route,
            ladder=(rung,),
            rung_s=rung.users / rung.spawn_per_s + seconds,
        )
        with Load(plan=plan, progress=lambda _: None) as load:
            load.climb()
    figures = load.result.rungs[0].figures
    return RungFigures(
        users=rung.users,
        rps=figures.rps,
        p50_ms=figures.p50_ms or 0.0,
        p99_ms=figures.p99_ms or 0.0,
        failures=figures.failures,
    )
