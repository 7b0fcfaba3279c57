"""A server under test on a free port.

The benchmarks use it as a context, which starts and stops it.
"""

import http.client
import os
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["FLOWER", "Server"]

FLOWER = "[[5.1, 3.5, 1.4, 0.2]]"
"""A body that the services accept."""

_READY = re.compile(r"is ready at https?://[^:]+:(\d+)")
_STOP_S = 40.0
_ASK_S = 10.0


class Server:
    """`headway serve --production` of one of benchmarks/services.

    Args:
        service: As in "models:forest".
        config: Text of the configuration file.
        arguments: Further arguments of `headway serve`.
    """

    def __init__(
        self, service: str, *, config: str = "", arguments: tuple[str, ...] = ()
    ) -> None:
        self._service = service
        self._config = config
        self._arguments = arguments
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False) as file:
            file.write(self._config)
        command = [
            *(sys.executable, "-m", "headway", "serve", self._service),
            *("--production", "--host", "127.0.0.1", "--port", "0"),
            *("--working-dir", str(Path(__file__).parent / "services")),
            *("--config", file.name, *self._arguments),
        ]
        self._process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env=os.environ
        )
        assert self._process.stderr is not None
        seen = []
        for line in self._process.stderr:
            seen.append(line)
            found = _READY.search(line)
            if found:
                self.port = int(found.group(1))
                os.unlink(file.name)
                self._reader = threading.Thread(target=self._discard_log)
                self._reader.start()
                return self
        raise SystemExit("the server did not start:\n" + "".join(seen))

    def _discard_log(self) -> None:
        """Read its whole log, so that a full pipe never blocks it."""
        assert self._process is not None
        assert self._process.stderr is not None
        for _ in self._process.stderr:
            pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(_STOP_S)
        self._reader.join()

    @property
    def url(self) -> str:
        """URL of the services' API."""
        return f"http://127.0.0.1:{self.port}/predict"

    def ask(self, method: str, path: str, body: str | None = None) -> str:
        """Return the body of the answer to one request.

        Raises:
            SystemExit: If the answer is not 200.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_ASK_S)
        connection.request(method, path, body)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        if answer.status != http.HTTPStatus.OK:
            raise SystemExit(f"{method} {path}: {answer.status}: {text}")
        return text

    def metric(self, name: str) -> float:
        """Return the sum of a metric over its labels."""
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in self.ask("GET", "/metrics").splitlines()
            if line.startswith((name + "{", name + " "))
        )

    def processes(self) -> dict[str, int]:
        """Return the process ids by the processes' names."""
        assert self._process is not None
        children = Path(
            f"/proc/{self._process.pid}/task/{self._process.pid}/children"
        ).read_text()
        named = {}
        for pid in children.split():
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            named[words[words.index("headway.server.process") + 1]] = int(pid)
        return named
