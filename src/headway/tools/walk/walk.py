"""Serves a service in stages and measures each under the same load.

cli/walk runs it; stage says how each is served, rung and limit measure, comparison
tells what each brings.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from headway.core.clock import Clock
from headway.errors import TrafficError
from headway.tools.load.ladder import Rung
from headway.tools.sample_request import Question, check_answer
from headway.tools.served import Served
from headway.tools.tune.grid import Grid, with_keys
from headway.tools.tune.limit import find_limit
from headway.tools.tune.probe import Target
from headway.tools.tune.search import best
from headway.tools.tune.state import State
from headway.tools.tune.tuned_file import render
from headway.tools.tune.tuner import TuneJob, Tuner
from headway.tools.walk.comparison import StageFigures
from headway.tools.walk.liveness_probe import Pulse
from headway.tools.walk.load_step import climb
from headway.tools.walk.stage import Stage

__all__ = ["Walk", "WalkPlan"]


class WalkPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is served how, and what is sent."""

    service: str
    working_dir: Path
    stages: Sequence[Stage]
    """All but the tuned one."""
    document: Mapping[str, Any]
    """Content of the configuration file, which the tuner adds to."""
    tuned: Mapping[str, Any] | None
    """That of the last stage; None: the tuner finds it."""
    grid: Grid
    question: Question
    ladder: Sequence[Rung]
    rung_s: float
    target: Target
    tune_s: float
    precision: float


class Walk:
    """One walk through all stages.

    Args:
        plan: What to do.
        clock: Bounds the tuner's time.
        progress: Told a line about each thing that is done.
    """

    def __init__(
        self, *, plan: WalkPlan, clock: Clock, progress: Callable[[str], None]
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._progress = progress
        self.stages: list[StageFigures] = []

    def run(self) -> None:
        """Measure all stages; `stages` has what was measured, also if this raises.

        Raises:
            MissingExtraError: If Locust is not installed.
            WrongQuestionError: If the first stage answers its sample with an error.
        """
        plan = self._plan
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for stage in plan.stages:
                self._measure(stage, folder)
            tuned = plan.tuned
            if tuned is None:
                tuned = self._tune(folder)
            if tuned is not None:
                self._measure(self._tuned_stage(tuned), folder)

    def _tuned_stage(self, document: Mapping[str, Any]) -> Stage:
        return Stage(
            name="tuned",
            what="the settings that keep the target at the highest rate",
            service=self._plan.service,
            document=document,
        )

    def _measure(self, stage: Stage, folder: Path) -> None:
        plan = self._plan
        self._progress(f"{stage.name}: {stage.what}")
        file = folder / f"{stage.name}.yaml"
        file.write_text(render(stage.document, {}), encoding="utf-8")
        figures = StageFigures(name=stage.name, what=stage.what)
        self.stages.append(figures)
        try:
            with Served(
                service=stage.service,
                working_dir=plan.working_dir,
                config_file=file,
                environment=stage.environment,
            ) as server:
                check_answer(server.url, plan.question)
                self._climb(server.url, figures)
                limit, _ = find_limit(
                    server.url, plan.question, plan.target, precision=plan.precision
                )
                figures.limit_per_s = limit.per_s if limit else 0.0
                self._progress(
                    f"  {figures.limit_per_s:,.0f}/s within {plan.target.p99_ms:g} ms"
                )
        except TrafficError as error:
            if not any(one.rungs for one in self.stages):
                raise
            figures.problem = error.message
            self._progress(f"  skipped: {error.message}")

    def _climb(self, url: str, figures: StageFigures) -> None:
        for rung in self._plan.ladder:
            with Pulse(url) as pulse:
                found = climb(url, self._plan.question, rung, self._plan.rung_s)
            figures.rungs.append(found)
            figures.livez_p99_ms = pulse.p99_ms
            self._progress(
                f"  {found.users:5} users: {found.rps:,.0f} RPS, p50 {found.p50_ms:g} "
                f"ms, p99 {found.p99_ms:g} ms, {found.failures} failures"
            )

    def _tune(self, folder: Path) -> Mapping[str, Any] | None:
        plan = self._plan
        self._progress(f"tuning for {plan.tune_s:.0f} s")
        tuner = Tuner(
            job=TuneJob(
                service=plan.service,
                working_dir=plan.working_dir,
                document=plan.document,
                grid=plan.grid,
                question=plan.question,
                target=plan.target,
                state_file=folder / "tune.json",
                state=State(fingerprint=""),
            ),
            time_s=plan.tune_s,
            clock=self._clock,
            progress=lambda line: self._progress(f"  {line.strip()}"),
        )
        tuner.run()
        found = best(tuner.trials)
        if found is None:
            self._progress("  no setting keeps the target: there is no tuned stage")
            return None
        return with_keys(plan.document, plan.grid.keys(found.setting))
