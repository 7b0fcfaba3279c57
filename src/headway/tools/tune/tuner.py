"""Measures setting after setting, each at a server of its own, until the time is over.

cli/tune runs it; search decides what comes next, probe measures, state keeps it.
"""

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from headway.core.clock import Clock
from headway.errors import TrafficError, WrongQuestionError
from headway.tools.sample_request import Question, check_answer
from headway.tools.served import Served
from headway.tools.tune.grid import Grid, with_keys
from headway.tools.tune.probe import Target, probe
from headway.tools.tune.search import Search, Step
from headway.tools.tune.state import State, save
from headway.tools.tune.trial import Setting, Trial
from headway.tools.tune.tuned_file import render

__all__ = ["TuneJob", "Tuner"]

_START_S = 2.0
"""What a server takes to start, unless one has taken longer."""
_SHORTEST_START_S, _LONGEST_START_S = 30.0, 120.0
"""Bounds of the time that is left for it."""


class TuneJob(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be tuned."""

    service: str
    working_dir: Path
    document: Mapping[str, Any]
    """Content of the configuration file, to which the choices are added."""
    grid: Grid
    question: Question
    target: Target
    state_file: Path
    state: State


class Tuner:
    """One run.

    Args:
        job: What to tune.
        time_s: How long it may take.
        clock: Tells the time that is left.
        progress: Told a line after each trial.
    """

    def __init__(
        self,
        *,
        job: TuneJob,
        time_s: float,
        clock: Clock,
        progress: Callable[[str], None],
    ) -> None:
        self._job = job
        self._time_s = time_s
        self._clock = clock
        self._progress = progress
        self._start_s = _START_S
        self._serving: Setting | None = None
        self._server: Served | None = None
        self._until = 0.0
        self.trials = list(job.state.trials)

    def run(self) -> None:
        """Measure until all is found or the time is over; `trials` has it all.

        Raises:
            TrafficError: If the service answers its own sample with an error, or the
                state cannot be written.
        """
        self._until = self._clock.now() + self._time_s
        with ExitStack() as running, tempfile.TemporaryDirectory() as folder:
            while step := self._next():
                self._measure(step, running, Path(folder) / "tuned.yaml")

    def _next(self) -> Step | None:
        target = self._job.target
        search = Search(
            values=self._job.grid.values,
            step_s=self._start_s + target.probe_s,
            confirm_s=self._start_s + target.probe_s + target.seconds,
        )
        return search.next_step(self.trials, self._until - self._clock.now())

    def _measure(self, step: Step, running: ExitStack, file: Path) -> None:
        excess = self._job.grid.excess(step.setting)
        if excess:
            self._note(_skipped(step.setting, excess), is_quiet=True)
            return
        began = self._clock.now()
        try:
            if self._serving != step.setting:
                running.close()
                self._server = self._serving = None
                self._server = self._start(step.setting, running, file)
                self._serving = step.setting
            assert self._server is not None
            trial = probe(
                self._server.url,
                self._job.question,
                self._job.target,
                per_s=step.per_s,
                setting=step.setting,
                confirms=step.confirms,
            )
        except TrafficError as error:
            if isinstance(error, WrongQuestionError) and not self.trials:
                raise
            trial = _skipped(step.setting, error.message)
        took_s = self._clock.now() - began
        self._note(msgspec.structs.replace(trial, took_s=took_s))

    def _start(self, setting: Setting, running: ExitStack, file: Path) -> Served:
        content = with_keys(self._job.document, self._job.grid.keys(setting))
        file.write_text(render(content, {}), encoding="utf-8")
        began = self._clock.now()
        left_s = max(self._until - began, _SHORTEST_START_S)
        server = running.enter_context(
            Served(
                service=self._job.service,
                working_dir=self._job.working_dir,
                config_file=file,
                start_timeout_s=min(left_s, _LONGEST_START_S),
            )
        )
        self._start_s = max(self._start_s, self._clock.now() - began)
        check_answer(server.url, self._job.question)
        return server

    def _note(self, trial: Trial, *, is_quiet: bool = False) -> None:
        self.trials.append(trial)
        state = State(fingerprint=self._job.state.fingerprint, trials=self.trials)
        save(self._job.state_file, state)
        if not is_quiet:
            left_s = max(self._until - self._clock.now(), 0)
            what = self._job.grid.text(trial.setting)
            self._progress(f"{left_s:4.0f} s left  {what}: {_told(trial)}")


def _skipped(setting: Setting, problem: str) -> Trial:
    return Trial(setting=setting, per_s=0.0, kept=False, problem=problem)


def _told(trial: Trial) -> str:
    if trial.problem:
        return f"skipped: {trial.problem}"
    p99 = "" if trial.p99_ms is None else f", p99 {trial.p99_ms:,.1f} ms"
    if trial.kept:
        return f"{trial.per_s:,.0f}/s {trial.verdict}{p99}"
    return f"{trial.per_s:,.0f}/s missed: {trial.why}"
