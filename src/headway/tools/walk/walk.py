"""Serves a service in stages and measures each stage under the same load.

cli/walk runs it. stage defines how each stage is served; Locust's users and an
open-loop rate measure it; walk_report compares the stages.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from headway.core.clock import Clock
from headway.errors import TrafficError
from headway.tools.load.load import LoadPlan, LoadTest
from headway.tools.load.locust_process import closed_users
from headway.tools.load.server_watch import LivenessProbe
from headway.tools.options import LoadStep
from headway.tools.sample_request import SampleRequest, check_sample
from headway.tools.server_process import ServerProcess
from headway.tools.tune.grid import Grid, with_keys
from headway.tools.tune.job import TuneJob
from headway.tools.tune.probe import Target, find_limit
from headway.tools.tune.search import best
from headway.tools.tune.tuned_file import render
from headway.tools.tune.tuner import Tuner
from headway.tools.walk.stage import Stage, StageFigures, StepFigures


class WalkPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The stages, and the load on each."""

    service: str
    working_dir: Path
    stages: Sequence[Stage]
    """All stages except the tuned one."""
    document: Mapping[str, Any]
    """Content of the configuration file; the tuner adds to it."""
    tuned: Mapping[str, Any] | None
    """Configuration of the last stage; None: the tuner finds it."""
    grid: Grid
    sample: SampleRequest
    ladder: Sequence[LoadStep]
    step_s: float
    target: Target
    tune_s: float
    precision: float


class Walk:
    """One walk through all stages.

    Args:
        plan: What to do.
        clock: Measures the tuner's time.
        progress: Called with a line of text about each action.
    """

    def __init__(
        self, *, plan: WalkPlan, clock: Clock, progress: Callable[[str], None]
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._progress = progress
        self.stages: list[StageFigures] = []

    def run(self) -> None:
        """Measure all stages; `stages` has the results so far, also if this raises.

        Raises:
            MissingExtraError: If Locust is not installed.
            SampleRequestError: If the first stage answers its sample with an error.
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
            with ServerProcess(
                service=stage.service,
                working_dir=plan.working_dir,
                config_file=file,
                environment=stage.environment,
            ) as server:
                check_sample(server.url, plan.sample)
                self._run_steps(server.url, figures)
                limit, _ = find_limit(
                    server.url, plan.sample, plan.target, precision=plan.precision
                )
                figures.limit_per_s = limit.per_s if limit else 0.0
                self._progress(
                    f"  {figures.limit_per_s:,.0f}/s within {plan.target.p99_ms:g} ms"
                )
        except TrafficError as error:
            if not any(one.steps for one in self.stages):
                raise
            figures.problem = error.message
            self._progress(f"  skipped: {error.message}")

    def _run_steps(self, url: str, figures: StageFigures) -> None:
        for step in self._plan.ladder:
            with LivenessProbe(url) as probe:
                found = _run_step(url, self._plan.sample, step, self._plan.step_s)
            figures.steps.append(found)
            figures.livez_p99_ms = probe.p99_ms
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
                sample=plan.sample,
                target=plan.target,
                state_file=folder / "tune.json",
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


def _run_step(
    url: str, sample: SampleRequest, step: LoadStep, seconds: float
) -> StepFigures:
    """Send Locust's users of one load step to a server.

    Args:
        url: URL of the server.
        sample: The request; each user sends it 0.01 to 2 s after its last answer.
        step: Number of users and spawn rate.
        seconds: How long they stay after all are spawned.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "users.py"
        file.write_text(closed_users([sample]), encoding="utf-8")
        plan = LoadPlan(
            url=url,
            locustfile=file,
            users_from=sample.route,
            ladder=(step,),
            step_s=step.users / step.spawn_per_s + seconds,
        )
        with LoadTest(plan=plan, progress=lambda _: None) as load:
            load.run()
    figures = load.result.steps[0].figures
    return StepFigures(
        users=step.users,
        rps=figures.rps,
        p50_ms=figures.p50_ms or 0.0,
        p99_ms=figures.p99_ms or 0.0,
        failures=figures.failures,
    )
