"""The highest rate at which one running server keeps a target.

The walk asks for it at each stage, and the tuner's benchmark at each setting of a grid.
"""

from headway.tools.sample_request import Question
from headway.tools.tune.probe import Target, probe
from headway.tools.tune.search import Search, best
from headway.tools.tune.trial import Setting, Trial

__all__ = ["find_limit"]

_UNBOUND = float("inf")


def find_limit(
    url: str,
    question: Question,
    target: Target,
    *,
    setting: Setting = (),
    precision: float = 1.08,
) -> tuple[Trial | None, list[Trial]]:
    """Return the trial at the highest rate that was kept, if any, and all of them.

    Args:
        url: Of the server.
        question: What is sent.
        target: What is to be kept.
        setting: Of the server, for the record.
        precision: Rates nearer to each other than this factor are alike.

    Raises:
        TrafficError: If nothing could be sent.
    """
    search = Search(
        values=tuple((value,) for value in setting),
        step_s=0.0,
        confirm_s=0.0,
        precision=precision,
        confirmations=0,
    )
    trials: list[Trial] = []
    while step := search.next_step(trials, _UNBOUND):
        trials.append(
            probe(url, question, target, per_s=step.per_s, setting=step.setting)
        )
    return best(trials), trials
