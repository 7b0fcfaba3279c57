"""Runs the code blocks of one page like a reader; test_readme and others call it.

All blocks of a page share a folder and a model store:

- a block with file=NAME is written there, not executed;
- `python` blocks share one namespace, like the cells of a notebook;
- `bash` blocks must succeed; a block with a line that begins with `headway serve` is
  started in the background, awaited on /readyz, and stopped at the next such block or
  at the end;
- `yaml` blocks (not written to another file) must be valid as headway.yaml;
- `json` and `toml` blocks must parse.

Port 3000 is replaced by a free port.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
import urllib.request
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from headway.config.resolution import resolve
from tests.docs.document_blocks import Block, read_blocks

METHODS = ["predict", "predict_proba"]
RUNNERS = {"credit_risk_model": METHODS, "forest": METHODS, "ranker": METHODS}
"""The runners that configuration files in the documentation may name."""

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
BASH_TIMEOUT_S = 60.0

# Not --print-config and --help, which start no server.
_SERVE = re.compile(r"^headway serve (?!.*--(print-config|help))", re.MULTILINE)

# Reads JSON lines [file name, code], runs each, and prints the traceback or "".
_NOTEBOOK = """
import json, sys, traceback
answers, sys.stdout = sys.stdout, sys.stderr
namespace = {"__name__": "__main__"}
for line in sys.stdin:
    name, code = json.loads(line)
    error = ""
    try:
        exec(compile(code, name, "exec"), namespace)
    except BaseException:
        error = traceback.format_exc()
    print(json.dumps(error), file=answers, flush=True)
"""


class DocumentRun:
    """A reader's folder, terminal and notebook.

    Args:
        folder: An empty folder.
        port: Replaces the port 3000 of the page.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._notebook: subprocess.Popen[str] | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._log = folder.with_name(folder.name + ".log")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._notebook is not None:
            with self._notebook as notebook:  # closing its input ends it
                if exc is not None:
                    notebook.kill()
        if self._server is not None and exc is not None:
            with suppress(ProcessLookupError):  # it has ended
                os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()

    def run(self, block: Block) -> None:
        """Run or check a block.

        Raises:
            AssertionError: If it fails; the message has the line and the output.
        """
        text = re.sub(r"\b3000\b", str(self._port), block.text)
        if block.file is not None:
            path = self._folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        match block.language:
            case "python" if block.file is None:
                self._run_python(block, text)
            case "python":
                compile(text, str(block), "exec")
            case "bash" if block.file is None:
                self._run_bash(block, text)
            case "yaml" if block.file in (None, "headway.yaml"):
                checked = self._folder.with_name(f"{block.page.stem}-{block.line}.yaml")
                checked.write_text(text, encoding="utf-8")
                resolve(config_file=checked, environ={}, runner_methods=RUNNERS)
            case "json":
                json.loads(text)
            case "toml":
                tomllib.loads(text)

    def finish(self) -> None:
        """Stop the server, which must end with status 0."""
        if self._server is None:
            return
        self._server.send_signal(signal.SIGTERM)
        status = self._server.wait(timeout=STOP_TIMEOUT_S)
        self._server = None
        assert status == 0, f"headway serve ended with {status}\n{self._server_log()}"

    def _environ(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HEADWAY_HOME": str(self._folder / "headway-home"),
            "HEADWAY_API_SERVER__PORT": str(self._port),
        }

    def _run_python(self, block: Block, text: str) -> None:
        if self._notebook is None:
            self._notebook = subprocess.Popen(
                [sys.executable, "-c", _NOTEBOOK],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=self._folder,
                env=self._environ(),
                text=True,
            )
        _pipe(self._notebook.stdin).write(json.dumps([str(block), text]) + "\n")
        _pipe(self._notebook.stdin).flush()
        answer = _pipe(self._notebook.stdout).readline()
        error = json.loads(answer) if answer else "it ended the interpreter"
        assert not error, f"{block} failed\n{error}"

    def _run_bash(self, block: Block, text: str) -> None:
        if _SERVE.search(text):
            self.finish()
            self._serve(block, text)
            return
        result = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self._folder,
            env=self._environ(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BASH_TIMEOUT_S,
            check=False,
        )
        assert result.returncode == 0, (
            f"{block} ended with {result.returncode}\n{result.stdout}{result.stderr}"
            f"{self._server_log()}"
        )

    def _serve(self, block: Block, text: str) -> None:
        with self._log.open("wb") as log:
            self._server = subprocess.Popen(
                # exec: the signal that stops it must reach headway, not bash.
                [
                    "bash",
                    "-euo",
                    "pipefail",
                    "-c",
                    _SERVE.sub("exec headway serve ", text),
                ],
                cwd=self._folder,
                env=self._environ(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        give_up_at = time.monotonic() + START_TIMEOUT_S
        while not self._ready():
            status = self._server.poll()
            assert status is None, f"{block} ended with {status}\n{self._server_log()}"
            assert time.monotonic() < give_up_at, (
                f"{block} is not ready after {START_TIMEOUT_S} s\n{self._server_log()}"
            )
            time.sleep(0.05)  # another process can only be polled

    def _ready(self) -> bool:
        url = f"http://127.0.0.1:{self._port}/readyz"
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return bool(response.status == 200)
        except OSError:  # HTTP errors and refused connections
            return False

    def _server_log(self) -> str:
        if not self._log.exists():
            return ""
        return "the server wrote:\n" + self._log.read_text("utf-8", errors="replace")


def follow(page: Path, folder: Path, port: int) -> None:
    """Run the blocks of a page in order.

    Args:
        page: A Markdown file.
        folder: Where the page's files go; it must not exist.
        port: A free port.

    Raises:
        AssertionError: If a block fails.
        ValueError: If the page has a block that cannot be understood.
    """
    folder.mkdir()
    with DocumentRun(folder, port) as reader:
        for block in read_blocks(page):
            reader.run(block)
        reader.finish()


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
