"""Open-loop users in a real Locust, as `headway load` runs it."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from headway.tools.load.load import LoadResult
from tests.benchmarks.peer import Peer, hang_up
from tests.tools.commands import Command

pytestmark = pytest.mark.timeout(60)

USERS = """
import json
import time

from locust import events

from headway.locust import Bursts, OpenLoopUser, Request

told = []


class Visitors(OpenLoopUser):
    arrivals = Bursts(50, 5)

    def next_request(self):
        self.count = getattr(self, "count", 0) + 1
        return Request("/ask", self.count, name="counting")

    def failure_of(self, status, body):
        return "a multiple of ten" if int(body) % 10 == 0 else None


@events.request.add_listener
def listen(**told_of):
    told.append({key: repr(value) for key, value in told_of.items()})


@events.quitting.add_listener
def write(**_):
    with open("told.json", "w") as file:
        json.dump(told, file)
"""


def load(folder: Path, *arguments: str) -> tuple[int, str]:
    with Command(
        *("load", "paced:paced", *arguments, "--json", "load.json"), folder=folder
    ) as command:
        code = command.wait()
        assert command.processes() == []
    return code, command.output


def result(folder: Path) -> LoadResult:
    return msgspec.json.decode((folder / "load.json").read_bytes(), type=LoadResult)


def test_rate_is_kept_whatever_the_number_of_users(tmp_path: Path) -> None:
    code, output = load(
        *(tmp_path, "--rate", "40", "--ladder", "1/1,2/2", "--run-time", "3s")
    )
    assert code == 0, output
    found = result(tmp_path)
    assert found.users_from == "the samples of /ask, each user 40/s"
    one, two = (step.whole for step in found.steps)
    # Poisson, and a user that comes a while after the step has begun.
    assert 50 < one.requests < 160
    assert one.requests < two.requests < 320
    assert one.failures == two.failures == 0


def test_listeners_are_told_and_answers_are_judged(tmp_path: Path) -> None:
    (tmp_path / "users.py").write_text(USERS)
    code, output = load(
        *(tmp_path, "-f", "users.py", "--users", "1", "--run-time", "3s")
    )
    assert code == 1, output
    assert "x POST counting: " in output
    assert "a multiple of ten" in output
    found = result(tmp_path)
    told = json.loads((tmp_path / "told.json").read_text())
    assert len(told) == found.requests > 50
    failed = [entry for entry in told if entry["exception"] != "None"]
    assert len(failed) == found.failures == len(told) // 10
    assert {entry["name"] for entry in told} == {"'counting'"}
    starts = sorted(float(entry["start_time"]) for entry in told)
    # Five at each moment, whenever they were really sent.
    assert starts[5] - starts[4] == pytest.approx(0.1, abs=1e-3)
    assert starts[4] - starts[0] == pytest.approx(0, abs=1e-3)


def test_nothing_to_send_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "users.py").write_text(
        "from headway.locust import OpenLoopUser\n"
        "class Visitors(OpenLoopUser):\n    pass\n"
    )
    code, output = load(tmp_path, "-f", "users.py", "--run-time", "10m")
    assert code == 1
    assert "Visitors has nothing to send: set `requests`" in output


def test_no_server_for_it_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "users.py").write_text(USERS)
    with Peer(lambda _: hang_up) as peer:
        url = peer.url.replace("http:", "https:").removesuffix("/predict")
        with Command(
            *("load", url, "-f", "users.py", "--run-time", "10m"), folder=tmp_path
        ) as command:
            assert command.wait() == 1
    assert f"Visitors: the host is '{url}': an open-loop user needs" in command.output


def test_missing_locust_names_the_extra() -> None:
    code = (
        "import sys\nsys.modules['locust'] = None\n"
        "try:\n    import headway.locust\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        "MissingExtraError headway.locust needs Locust: pip install 'headway[load]'\n"
    )
