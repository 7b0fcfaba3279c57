"""`headway load`: its results, its error messages, and the processes it leaves."""

import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from headway.cli.load import load
from headway.errors import TrafficError
from headway.tools.load.load import LoadResult
from tests.serving.processes import wait_gone
from tests.serving.server import Server
from tests.tools.command import Command

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A running server, for tests that need not start one."""
    with Server("paced:paced") as server:
        yield f"http://127.0.0.1:{server.port}"


def result(file: Path) -> LoadResult:
    return msgspec.json.decode(file.read_bytes(), type=LoadResult)


def test_load_steps_have_the_figures_of_users_and_server(tmp_path: Path) -> None:
    arguments = ("--ladder", "2/2,4/4", "--run-time", "3s", "--json", "load.json")
    with Command("load", "paced:paced", *arguments, folder=tmp_path) as command:
        assert command.wait() == 0, command.output
        assert command.processes() == []
    found = result(tmp_path / "load.json")
    assert found.is_whole
    assert found.errors == []
    assert [step.users for step in found.steps] == [2, 4]
    for step in found.steps:
        assert step.whole.failures == 0
        assert step.steady is not None
        assert step.whole.requests >= step.steady.requests > 0
        steady = step.steady
        assert steady.rps == pytest.approx(steady.requests / steady.seconds, abs=0.02)
        assert steady.p50_ms is not None
        assert steady.p99_ms is not None
        assert steady.max_ms is not None
        assert 4 <= steady.p50_ms <= steady.p99_ms <= steady.max_ms
        assert step.server is not None
        assert step.server.mean_batch_rows == 1.0
    for number, step in enumerate(found.steps):
        seconds = [second for second in found.seconds if second.step == number]
        # The last one is shorter than a second.
        assert 2 <= len(seconds) <= 5
        requests = sum(second.figures.requests for second in seconds)
        assert requests == step.whole.requests > 0
    assert found.server_seconds
    assert "step 2 of 2: 4 users" in command.output
    assert "mean batch" in command.output


def test_several_processes_generate_one_load(url: str, tmp_path: Path) -> None:
    """The keys of the JSON are those that scripts may rely on."""
    arguments = ("--users", "4", "--run-time", "2s", "--workers", "2")
    with Command(
        *("load", url, *arguments, "--json", "load.json"), folder=tmp_path
    ) as command:
        assert command.wait() == 0, command.output
        assert command.processes() == []
    document = msgspec.json.decode((tmp_path / "load.json").read_bytes())
    [step] = document["rungs"]
    assert step["rung"] == {"users": 4, "spawn_per_s": 10.0}
    assert step["users"] == 4
    assert step["whole"]["requests"] > 0
    assert step["whole"]["failures"] == 0
    assert {second["rung"] for second in document["seconds"]} == {0}


def test_ctrl_c_keeps_results_and_leaves_no_process(tmp_path: Path) -> None:
    arguments = ("--ladder", "2/2,4/4", "--run-time", "2s")
    files = ("--json", "load.json", "--report", "load.html")
    with Command(
        *("load", "paced:paced", *arguments, *files), folder=tmp_path
    ) as command:
        command.read_until("step 2 of 2")
        command.send(signal.SIGINT)
        assert command.wait() == 130, command.output
        assert command.processes() == []
    found = result(tmp_path / "load.json")
    assert not found.is_whole
    assert len(found.steps) == 2
    assert found.steps[0].steady is not None
    assert "stopped" in command.output
    assert "The load was stopped" in (tmp_path / "load.html").read_text()
    assert "mean batch" in command.output


def test_failed_requests_are_listed_and_fail_the_command(
    url: str, tmp_path: Path
) -> None:
    (tmp_path / "users.py").write_text(
        "from locust import FastHttpUser, constant, task\n"
        "class Wrong(FastHttpUser):\n"
        "    wait_time = constant(0.1)\n"
        "    @task\n"
        "    def ask(self):\n"
        "        self.client.post('/nowhere')\n"
    )
    with Command(
        *("load", url, "-f", "users.py", "--users", "2", "--run-time", "1s"),
        folder=tmp_path,
    ) as command:
        assert command.wait() == 1
        assert command.processes() == []
    assert "requests failed" in command.output
    assert "x POST /nowhere: " in command.output
    assert "Traceback" not in command.output


@pytest.mark.soak
def test_web_page_of_locust_stays_until_ctrl_c(tmp_path: Path, free_port: int) -> None:
    arguments = ("--users", "2", "--run-time", "2s", "--ui", "--ui-port")
    with Command(
        *("load", "paced:paced", *arguments, str(free_port)), folder=tmp_path
    ) as command:
        command.read_until("stays until Ctrl-C")
        assert command.processes() != []
        command.send(signal.SIGINT)
        assert command.wait() == 0, command.output
        assert command.processes() == []
    assert "mean batch" in command.output


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("paced:failing",), "POST /ask is answered 500: "),
        (("paced:unloadable",), "the server did not start: "),
        (("nowhere:svc",), "there is no module 'nowhere'"),
        (("URL", "-f", "none.py"), "none.py: there is no Locust user in it"),
        (("URL", "-f", "broken.py"), "broken.py: SyntaxError: "),
    ],
)
def test_error_is_one_line(
    url: str, tmp_path: Path, arguments: tuple[str, ...], line: str
) -> None:
    (tmp_path / "none.py").write_text("users = 0\n")
    (tmp_path / "broken.py").write_text("def (\n")
    words = [word.replace("URL", url) for word in arguments]
    with Command("load", *words, folder=tmp_path) as command:
        assert command.wait() == 1, command.output
        assert command.processes() == []
    lines = command.output.splitlines()
    [error] = [text for text in lines if " is served at " not in text]
    assert error.startswith("headway: error: ")
    assert line in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--ladder", "5"), "'5' is not a ladder: write users/users"),
        (("--ladder", "5/5", "--users", "2"), "leave out --users"),
        (("--spawn-rate", "0"), "is not a ladder: write users/users"),
        (("--run-time", "soon"), "--run-time is 'soon': write a time"),
        (("-f", __file__, "--rate", "5"), "leave out --rate"),
        (("--write-locustfile", "no/x.py"), "no/x.py: cannot be written"),
    ],
)
def test_wrong_option_is_refused(
    url: str, arguments: tuple[str, ...], message: str
) -> None:
    outcome = CliRunner().invoke(load, [url, *arguments])
    assert isinstance(outcome.exception, TrafficError)
    assert message in outcome.exception.message


def test_unreachable_server_is_one_line(tmp_path: Path, free_port: int) -> None:
    with Command("load", f"127.0.0.1:{free_port}", folder=tmp_path) as command:
        assert command.wait() == 1
    assert command.output.count("\n") == 1
    assert "cannot be reached" in command.output


def test_locustfile_is_written_for_editing(url: str, tmp_path: Path) -> None:
    file = tmp_path / "users.py"
    outcome = CliRunner().invoke(load, [url, "--write-locustfile", str(file)])
    assert outcome.exit_code == 0, outcome.output
    assert "self.client.post('/ask', b'1'" in file.read_text()


@pytest.mark.soak
def test_killed_command_leaves_no_process(tmp_path: Path) -> None:
    with Command("load", "paced:paced", "--users", "2", folder=tmp_path) as command:
        command.read_until("step 1 of 1")
        left = command.processes()
        command.send(signal.SIGKILL)
        wait_gone(left)
