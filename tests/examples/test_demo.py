"""examples/demo: results, exit codes, and no process left behind."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.examples.training import EXAMPLES
from tests.serving.processes import wait_gone

pytestmark = pytest.mark.timeout(60)


class DemoRun:
    """The demo as a process, in an environment that marks all that it starts.

    Args:
        environment: Variables besides this process's own.
    """

    def __init__(self, *arguments: str, **environment: str) -> None:
        # Short, as the server's Unix sockets are below it.
        self.folder = Path(tempfile.mkdtemp(prefix="hw-demo-"))
        self._mark = uuid.uuid4().hex
        self._process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / "demo"), *arguments],
            env={
                **{key: os.environ[key] for key in os.environ if key != "HEADWAY_HOME"},
                "TMPDIR": str(self.folder),
                "DEMO_TEST_MARK": self._mark,
                "PYTHONUNBUFFERED": "1",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.output = ""

    def read_until(self, text: str) -> None:
        """Read its output up to the line that holds a text."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output += line
            if text in line:
                return
        raise AssertionError(f"ended without {text!r}:\n{self.output}")

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """Read the rest, and return the exit code."""
        assert self._process.stdout is not None
        self.output += self._process.stdout.read()
        return self._process.wait()

    def processes(self) -> list[int]:
        """Return the pids of what it has started and is still there."""
        found = []
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if (
                    folder.name.isdigit()
                    and self._mark.encode() in (folder / "environ").read_bytes()
                ):
                    found.append(int(folder.name))
        return found

    def close(self) -> None:
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        shutil.rmtree(self.folder)

    def assert_clean(self) -> None:
        """Nothing is left: no process, no file."""
        assert self.processes() == [], self.output
        assert list(self.folder.iterdir()) == []


@contextlib.contextmanager
def demo(*arguments: str, **environment: str) -> Iterator[DemoRun]:
    run = DemoRun(*arguments, **environment)
    try:
        yield run
    finally:
        run.close()


def test_tiny_ladder(tmp_path: Path) -> None:
    report = tmp_path / "figures.json"
    with contextlib.ExitStack() as stack:
        # Port 3000 is taken by this test, or by another process if the bind fails.
        taken = stack.enter_context(socket.socket())
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            taken.bind(("127.0.0.1", 3000))
            taken.listen()
        run = stack.enter_context(
            demo("--ladder", "5/5", "--seconds", "4", "--json", str(report))
        )
        assert run.wait() == 0, run.output
        run.assert_clean()
    assert "AUC on 891 applications" in run.output
    assert re.search(
        r"^\$ headway serve service:svc --production --port \d+$", run.output, re.M
    )
    assert "--port 3000\n" not in run.output
    document = json.loads(report.read_text(encoding="utf-8"))
    [step] = document["rungs"]
    assert (step["users"], step["spawn_rate"], step["seconds"]) == (5, 5, 4)
    assert document["errors"] == []
    whole, steady = step["whole"], step["steady"]
    assert whole["failures"] == 0
    assert whole["requests"] >= steady["requests"] > 0
    assert whole["requests"] == pytest.approx(whole["rps"] * whole["seconds"], rel=0.1)
    assert 1 <= whole["mean_batch_rows"] <= 5
    assert 0 < whole["p50_ms"] <= whole["p90_ms"] <= whole["p99_ms"] <= whole["max_ms"]
    row = next(line for line in run.output.splitlines() if line.startswith("    5 "))
    assert row.split() == [
        "5",
        "5",
        str(whole["rps"]),
        *(f"{whole[key]:g}" for key in ("p50_ms", "p90_ms", "p99_ms", "max_ms")),
        "0",
        f"{whole['mean_batch_rows']:.2f}",
    ]
    assert "Locust shares the" in run.output


@pytest.mark.soak
def test_failed_requests_fail_the_demo(tmp_path: Path) -> None:
    report = tmp_path / "figures.json"
    home = tmp_path / "home"
    with demo(
        *("--ladder", "5/5", "--seconds", "2", "--json", str(report)),
        HEADWAY_HOME=str(home),
        HEADWAY_API_SERVER__TIMEOUT="0.000001",  # none is in time
    ) as run:
        assert run.wait() == 1, run.output
        run.assert_clean()
    assert re.search(r"^failed: \d+ x .*504", run.output, re.M), run.output
    [step] = json.loads(report.read_text(encoding="utf-8"))["rungs"]
    assert step["whole"]["failures"] == step["whole"]["requests"] > 0
    assert (home / "models" / "credit_risk_model").is_dir()  # the user named this place


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("$ python train.py", signal.SIGTERM),
        pytest.param("$ headway", signal.SIGHUP, marks=pytest.mark.soak),
        ("step 1 of 1", signal.SIGINT),
    ],
)
def test_interrupt_leaves_nothing(moment: str, number: signal.Signals) -> None:
    with demo("--ladder", "5/5", "--seconds", "60") as run:
        run.read_until(moment)
        run.send(number)
        assert run.wait() == 128 + number, run.output
        run.assert_clean()
    assert f"stopped by {number.name}" in run.output


@pytest.mark.soak
def test_serve_stays_up_until_interrupted() -> None:
    with demo("--serve") as run:
        run.read_until("Ctrl-C stops all of it")
        urls = dict(re.findall(r"^(API|metrics|Locust) +(\S+)$", run.output, re.M))
        pages = {}
        for name, url in urls.items():
            with urllib.request.urlopen(url, timeout=10) as response:
                pages[name] = response.read().decode()
        assert "swagger" in pages["API"].lower()
        assert "# TYPE headway_build_info gauge" in pages["metrics"]
        assert "Locust" in pages["Locust"]
        run.send(signal.SIGINT)
        assert run.wait() == 0, run.output
        run.assert_clean()


@pytest.mark.soak
def test_dead_server_ends_the_demo() -> None:
    with demo("--ladder", "5/5", "--seconds", "2") as run:
        run.read_until("step 1 of 1")
        [server] = [pid for pid in run.processes() if _is_supervisor(pid)]
        os.kill(server, signal.SIGKILL)
        wait_gone([server])
        assert run.wait() == 1
        # Its workers drain when their supervisor is gone.
        wait_gone(run.processes())
    assert "headway serve ended with -9" in run.output


def _is_supervisor(pid: int) -> bool:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return b"headway" in words and b"serve" in words


@pytest.mark.parametrize("ladder", ["50", "50/0", "0/5", "a/b", "5/5,"])
def test_malformed_ladder_is_refused(ladder: str) -> None:
    with demo("--ladder", ladder) as run:
        assert run.wait() == 1
        run.assert_clean()
    assert f"{ladder!r} is not a ladder" in run.output
    assert "train.py" not in run.output
