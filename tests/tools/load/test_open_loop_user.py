"""Open-loop users in a real Locust, as `headway load` runs it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from headway.tools.load.load import LoadResult
from tests.benchmarks.peer import Peer, hang_up
from tests.serving.server import Server
from tests.tools.command import Command

pytestmark = pytest.mark.timeout(60)

USERS = """
import json
import time

from locust import events

from headway.locust import Bursts, OpenLoopUser, Request

reported = []


class Visitors(OpenLoopUser):
    arrivals = Bursts(50, 5)

    def next_request(self):
        self.count = getattr(self, "count", 0) + 1
        return Request("/ask", self.count, name="counting")

    def failure_of(self, status, body):
        return "a multiple of ten" if int(body) % 10 == 0 else None


@events.request.add_listener
def listen(**fields):
    reported.append({key: repr(value) for key, value in fields.items()})


@events.quitting.add_listener
def write(**_):
    with open("reported.json", "w") as file:
        json.dump(reported, file)
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Server("paced:paced") as server:
        yield f"http://127.0.0.1:{server.port}"


def load(url: str, folder: Path, *arguments: str) -> tuple[int, str]:
    with Command(
        *("load", url, *arguments, "--json", "load.json"), folder=folder
    ) as command:
        code = command.wait()
        assert command.processes() == []
    return code, command.output


def result(folder: Path) -> LoadResult:
    return msgspec.json.decode((folder / "load.json").read_bytes(), type=LoadResult)


def test_each_user_keeps_its_rate(url: str, tmp_path: Path) -> None:
    code, output = load(
        *(url, tmp_path, "--rate", "40", "--ladder", "1/1,2/2", "--run-time", "3s")
    )
    assert code == 0, output
    found = result(tmp_path)
    assert found.users_from == "the samples of /ask, each user 40/s"
    one, two = (step.whole for step in found.steps)
    # Poisson arrivals, and the user is spawned some time after the step begins.
    assert 50 < one.requests < 160
    assert one.requests < two.requests < 320
    assert one.failures == two.failures == 0


def test_requests_are_reported_to_listeners_with_their_failures(
    url: str, tmp_path: Path
) -> None:
    (tmp_path / "users.py").write_text(USERS)
    code, output = load(
        *(url, tmp_path, "-f", "users.py", "--users", "1", "--run-time", "3s")
    )
    assert code == 1, output
    assert "x POST counting: " in output
    assert "a multiple of ten" in output
    found = result(tmp_path)
    reported = json.loads((tmp_path / "reported.json").read_text())
    assert len(reported) == found.requests > 50
    failed = [entry for entry in reported if entry["exception"] != "None"]
    assert len(failed) == found.failures == len(reported) // 10
    assert {entry["name"] for entry in reported} == {"'counting'"}
    starts = sorted(float(entry["start_time"]) for entry in reported)
    # Bursts of five have the same start time, whenever they were sent.
    assert starts[5] - starts[4] == pytest.approx(0.1, abs=1e-3)
    assert starts[4] - starts[0] == pytest.approx(0, abs=1e-3)


def test_user_without_requests_ends_at_once(url: str, tmp_path: Path) -> None:
    (tmp_path / "users.py").write_text(
        "from headway.locust import OpenLoopUser\n"
        "class Visitors(OpenLoopUser):\n    pass\n"
    )
    code, output = load(url, tmp_path, "-f", "users.py", "--run-time", "10m")
    assert code == 1
    assert "Visitors has nothing to send: set `requests`" in output


def test_https_host_is_refused_at_once(tmp_path: Path) -> None:
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
