"""`headway tune`: it resumes, writes its files, and refuses wrong options."""

import re
import signal
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from headway.cli.tune import tune
from headway.config.resolution import resolve
from headway.errors import TrafficError
from headway.tools.tune.job import TuneState
from tests.serving.processes import wait_gone
from tests.tools.command import Command


@pytest.mark.timeout(60)
def test_tuner_resumes_after_ctrl_c_and_writes_the_configuration(
    tmp_path: Path,
) -> None:
    page = tmp_path / "report.html"
    shown = ("--report", "report.html")
    arguments = ("tune", "paced:paced", *shown, "--p99", "300ms", "--time")
    with Command(*arguments, "60s", folder=tmp_path) as command:
        command.read_until("s left")
        command.send(signal.SIGINT)
        assert command.wait() == 130, command.output
        assert command.processes() == []
    assert "run the same command to resume" in command.output
    assert "The search was stopped" in page.read_text(encoding="utf-8")
    begun = msgspec.json.decode(
        (tmp_path / "headway-tune.json").read_bytes(), type=TuneState
    )
    assert len(begun.trials) == 1
    with Command(*arguments, "11s", folder=tmp_path) as command:
        assert command.wait() == 0, command.output
        assert command.processes() == []
    assert "resuming from headway-tune.json: 1 trials" in command.output
    whole = msgspec.json.decode(
        (tmp_path / "headway-tune.json").read_bytes(), type=TuneState
    )
    assert whole.trials[0] == begun.trials[0]
    # The first trial of a setting includes the start of its server.
    assert 0 < sum(trial.took_s for trial in whole.trials) < 75
    report = page.read_text(encoding="utf-8")
    assert "The search was stopped" not in report
    assert "headway tune paced:paced --report report.html" in report
    assert re.search(r"<p class=\"summary\">[\d,]+ requests/s within 300 ms", report)
    kept = [trial.per_s for trial in whole.trials if trial.kept]
    assert kept
    assert max(kept) < 600  # a call takes 4 ms, and there may be 2 replicas
    text = (tmp_path / "headway.yaml").read_text(encoding="utf-8")
    assert "requests/s kept" in text
    assert text in command.output
    file = tmp_path / "headway.yaml"
    config = resolve(
        config_file=file, environ={}, runner_methods={"model": ["predict"]}
    )
    assert config.runner("model").resources.cpu


def test_killed_tuner_leaves_no_process(tmp_path: Path) -> None:
    with Command("tune", "paced:paced", "--p99", "50ms", folder=tmp_path) as command:
        command.read_until("s left")
        left = command.processes()
        assert len(left) > 3
        command.send(signal.SIGKILL)
        wait_gone(left)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("paced:paced", "--p99", "1s", "--route", "/x"), "it has no /x; name one of"),
        (("paced:paced", "--p99", "1s", "--time", "2s"), "raise --time"),
        (("paced:failing", "--p99", "1s"), "POST /ask is answered 500: "),
        (
            ("paced:unloadable", "--p99", "50ms", "--time", "6s"),
            "RuntimeError: no weights",
        ),
    ],
)
def test_error_is_one_line(
    arguments: tuple[str, ...], line: str, tmp_path: Path
) -> None:
    with Command("tune", *arguments, folder=tmp_path) as command:
        assert command.wait() == 1
        assert command.processes() == []
    last = command.output.strip().splitlines()[-1]
    assert last.startswith("headway: error: ")
    assert line in last


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--p99", "50 parsecs"), "--p99 is '50 parsecs': write a time"),
        (("--p99", "0ms"), "--p99 is '0ms': write a time"),
        (
            ("--p99", "1s", "--report", "none/report.html"),
            "none/report.html: the report cannot be written there",
        ),
    ],
)
def test_wrong_option_is_refused(arguments: tuple[str, ...], message: str) -> None:
    outcome = CliRunner().invoke(tune, ["paced:paced", *arguments])
    assert isinstance(outcome.exception, TrafficError)
    assert message in outcome.exception.message
