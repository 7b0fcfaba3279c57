"""The walk with real servers and Locust's users, as short as possible."""

import re
import signal
from pathlib import Path

import msgspec
import pytest

from headway.core.clock import MonotonicClock
from headway.tools.options import LoadStep
from headway.tools.sample_request import SampleRequest
from headway.tools.tune.grid import Grid
from headway.tools.tune.probe import Target
from headway.tools.walk.stage import Stage, plain_stages
from headway.tools.walk.walk import Walk, WalkPlan
from tests.serving.server import SERVICES
from tests.tools.command import Command


@pytest.mark.timeout(60)
def test_stages_are_measured_and_a_broken_one_is_skipped() -> None:
    sync, *_ = plain_stages("paced:paced", SERVICES, {}, 2)
    broken = Stage(name="broken", what="", service="paced:unloadable", document={})
    lines: list[str] = []
    walk = Walk(
        plan=WalkPlan(
            service="paced:paced",
            working_dir=SERVICES,
            stages=[sync, broken],
            document={},
            tuned={"api_server": {"workers": 1}},
            grid=Grid((), cores=2),
            sample=SampleRequest("/ask", b"1"),
            ladder=[LoadStep(4, 4)],
            step_s=1.0,
            target=Target(p99_ms=300.0, seconds=0.3, settle_s=0.1),
            tune_s=1.0,
            precision=4.0,
        ),
        clock=MonotonicClock(),
        progress=lines.append,
    )
    walk.run()
    assert [stage.name for stage in walk.stages] == ["sync", "broken", "tuned"]
    for stage in (walk.stages[0], walk.stages[2]):
        assert stage.problem == ""
        # One of the rates tried, however busy the machine is.
        assert stage.limit_per_s in (6.25, 25.0, 100.0, 400.0)
        [step] = stage.steps
        assert step.failures == 0
        assert step.rps > 0
        assert 4 <= step.p50_ms <= step.p99_ms
        assert stage.livez_p99_ms is not None
    assert "no weights" in walk.stages[1].problem
    assert lines[0].startswith("sync: ")


@pytest.mark.timeout(60)
def test_ctrl_c_shows_the_results_so_far(tmp_path: Path) -> None:
    arguments = (
        "walk",
        "paced:paced",
        "--ladder",
        "4/4",
        "--step-time",
        "0.5s",
        "--quick",
    )
    files = ("--json", "walk.json", "--report", "walk.html")
    with Command(*arguments, *files, folder=tmp_path) as command:
        command.read_until("RPS")
        command.send(signal.SIGINT)
        assert command.wait() == 130, command.output
        assert command.processes() == []
    assert "stage  /s in 50 ms  RPS@4" in command.output
    assert "stopped: this is what was measured" in command.output
    [stage] = msgspec.json.decode((tmp_path / "walk.json").read_bytes())
    assert [step["users"] for step in stage["rungs"]] == [4]
    report = (tmp_path / "walk.html").read_text(encoding="utf-8")
    assert "The walk was stopped" in report
    found = re.search(r'<script type="application/json" id="data">(.*?)</', report)
    assert found
    assert msgspec.json.decode(found[1])["stages"] == [stage]


def test_async_stage_turns_batching_off_for_every_runner() -> None:
    document = {
        "api_server": {"timeout": 5},
        "runners": {"model": {"batching": {"max_batch_size": 9}}, "batching": None},
    }
    sync, unbatched, workers, batching = plain_stages("a:b", SERVICES, document, 4)
    assert sync.document == {"api_server": {"timeout": 5, "workers": 1, "threads": 1}}
    assert unbatched.document["runners"] == {
        "model": {"batching": {"max_batch_size": 9, "enabled": False}},
        "batching": {"enabled": False},
    }
    assert workers.document["api_server"]["workers"] == 4
    assert batching.document == document
