"""Runs trials of settings, each on its own server, until the time is over.

cli/tune and the walk run it. search chooses the next trial, probe measures, and job
saves the state.
"""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec

from headway.core.clock import Clock
from headway.errors import SampleRequestError, TrafficError
from headway.tools.sample_request import check_sample
from headway.tools.server_process import ServerProcess
from headway.tools.tune.grid import with_keys
from headway.tools.tune.job import TuneJob, TuneState, save_state
from headway.tools.tune.probe import probe
from headway.tools.tune.search import NextTrial, RateSearch
from headway.tools.tune.trial import Setting, Trial
from headway.tools.tune.tuned_file import render

_START_S = 2.0
"""Expected start time of a server, until one has taken longer."""
_SHORTEST_START_S, _LONGEST_START_S = 30.0, 120.0
"""Bounds of the start time-out."""


class Tuner:
    """One run of the tuner.

    Args:
        job: What to tune.
        time_s: Time limit.
        clock: Measures the remaining time.
        progress: Called with a line of text after each trial.
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
        self._server: ServerProcess | None = None
        self._until = 0.0
        self.trials = list(job.state.trials)

    def run(self) -> None:
        """Run trials until the search is complete or out of time; fills `trials`.

        Raises:
            SampleRequestError: If the service answers its own sample with an error.
            TrafficError: If the state cannot be written.
        """
        self._until = self._clock.now() + self._time_s
        with ExitStack() as running, tempfile.TemporaryDirectory() as folder:
            while step := self._next():
                self._measure(step, running, Path(folder) / "tuned.yaml")

    def _next(self) -> NextTrial | None:
        target = self._job.target
        search = RateSearch(
            values=self._job.grid.values,
            trial_s=self._start_s + target.probe_s,
            confirm_s=self._start_s + target.probe_s + target.seconds,
        )
        return search.next_trial(self.trials, self._until - self._clock.now())

    def _measure(self, step: NextTrial, running: ExitStack, file: Path) -> None:
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
                self._job.sample,
                self._job.target,
                per_s=step.per_s,
                setting=step.setting,
                confirms=step.confirms,
            )
        except TrafficError as error:
            if isinstance(error, SampleRequestError) and not self.trials:
                raise
            trial = _skipped(step.setting, error.message)
        took_s = self._clock.now() - began
        self._note(msgspec.structs.replace(trial, took_s=took_s))

    def _start(self, setting: Setting, running: ExitStack, file: Path) -> ServerProcess:
        content = with_keys(self._job.document, self._job.grid.keys(setting))
        file.write_text(render(content, {}), encoding="utf-8")
        began = self._clock.now()
        left_s = max(self._until - began, _SHORTEST_START_S)
        server = running.enter_context(
            ServerProcess(
                service=self._job.service,
                working_dir=self._job.working_dir,
                config_file=file,
                start_timeout_s=min(left_s, _LONGEST_START_S),
            )
        )
        self._start_s = max(self._start_s, self._clock.now() - began)
        check_sample(server.url, self._job.sample)
        return server

    def _note(self, trial: Trial, *, is_quiet: bool = False) -> None:
        self.trials.append(trial)
        state = TuneState(fingerprint=self._job.state.fingerprint, trials=self.trials)
        save_state(self._job.state_file, state)
        if not is_quiet:
            left_s = max(self._until - self._clock.now(), 0)
            what = self._job.grid.text(trial.setting)
            self._progress(f"{left_s:4.0f} s left  {what}: {_describe(trial)}")


def _skipped(setting: Setting, problem: str) -> Trial:
    return Trial(setting=setting, per_s=0.0, kept=False, problem=problem)


def _describe(trial: Trial) -> str:
    if trial.problem:
        return f"skipped: {trial.problem}"
    p99 = "" if trial.p99_ms is None else f", p99 {trial.p99_ms:,.1f} ms"
    if trial.kept:
        return f"{trial.per_s:,.0f}/s {trial.result}{p99}"
    return f"{trial.per_s:,.0f}/s missed: {trial.why}"
