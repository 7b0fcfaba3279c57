"""Failed starts: one line, an exit code, no process left. And slow starts."""

import asyncio
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.client import Response, request
from tests.serving.processes import wait_gone
from tests.serving.server import Server

pytestmark = pytest.mark.timeout(60)  # several processes start in each

ZERO_ROWS = "runners:\n  batching:\n    max_batch_size: 0"


def faulty(
    production: bool, *arguments: str, config: str = "", fault: str = ""
) -> Server:
    """Return a server of tests/services/faults.py with one API worker."""
    return Server(
        "faults:svc",
        *("--api-workers", "1"),
        *arguments,
        production=production,
        config=config,
        environment={"FAULT": fault} if fault else {},
    )


def _failed_start(server: Server) -> str:
    """Return the one line of a server that cannot start."""
    try:
        server.start()
        code = server.wait()  # this asserts that no process is left
        assert code == 1, server.log
        assert server.leftovers() == []
        assert server.output() == ""
        lines = [line for line in server.log.splitlines() if " INFO " not in line]
        assert len(lines) == 1, server.log
        assert lines[0].startswith("headway: error: ")
        return lines[0]
    finally:
        server.close()


@pytest.mark.parametrize(
    ("service", "says"),
    [
        ("no_such_module:svc", "no module 'no_such_module'"),
        ("rows:service", "did you mean rows:svc"),
        ("rows:runner", "is not a headway.Service"),
        ("rows svc", "module:variable"),
    ],
)
def test_wrong_service_path_ends_the_start(
    production: bool, service: str, says: str
) -> None:
    assert says in _failed_start(Server(service, production=production))


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("import", "RuntimeError: the import raised .*faults.py, line"),
        ("missing model", "no_such_model"),
        ("load", "'fragile' cannot load its model: OSError: the weights"),
        ("warm", "'predict' failed on 1 warm-up rows: TypeError"),
        ("rows", "'predict' returned list with 2 rows along batch_dim 0"),
        ("hook", "start-up hook.* LookupError: the hook found nothing"),
    ],
)
def test_service_that_cannot_start_ends_the_start(
    production: bool, fault: str, says: str
) -> None:
    line = _failed_start(faulty(production, fault=fault))
    assert says.partition(".*")[0] in line
    assert says.rpartition(".*")[2] in line


def test_model_that_kills_its_process_ends_the_start() -> None:
    line = _failed_start(faulty(True, fault="exit"))
    assert "runner-fragile ended with exit code 7 before it was ready" in line


def test_startup_timeout_ends_the_start() -> None:
    config = "runners: {startup_timeout_s: 0.5}\napi_server: {startup_timeout_s: 30}"
    line = _failed_start(faulty(True, fault="hang", config=config))
    assert "not ready within 0.5 s" in line
    assert "startup_timeout_s" in line


WRONG_CONFIGURATIONS = [
    ("runners: [", "test.yaml:1: broken YAML"),
    ("runners:\n\tbatching: {}", "test.yaml:2: broken YAML"),
    ("runners:\n  batching:\n    max_batchsize: 3", "max_batch_size"),
    ("api_server:\n  port: lots", "port"),
    (ZERO_ROWS, "max_batch_size is 0: expected `int` >= 1"),
    # The supervisor checks the first, an API worker the second.
    ("runners:\n  fragil:\n    timeout: 3", "fragile"),
    ("api_server:\n  ssl_certfile: /nowhere/cert.pem", "ssl_certfile"),
]


@pytest.mark.parametrize(
    ("production", "config", "says"),
    [
        *((False, *wrong) for wrong in WRONG_CONFIGURATIONS),
        *((True, *wrong) for wrong in WRONG_CONFIGURATIONS[-2:]),
    ],
)
def test_wrong_configuration_ends_the_start(
    production: bool, config: str, says: str
) -> None:
    assert says in _failed_start(faulty(production, config=config))


def test_model_slower_than_max_latency_ends_the_start(production: bool) -> None:
    config = "runners:\n  batching:\n    max_latency_ms: 5"
    line = _failed_start(faulty(production, fault="slow", config=config))
    took = re.search(r"one row of 'predict' takes ([\d.]+) ms", line)
    assert took is not None, line
    assert 30 <= float(took[1]) < 300
    assert "more than max_latency_ms (5) allows" in line


@pytest.fixture
def taken_port() -> Iterator[int]:
    """Return a port on which another process listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port: int = listener.getsockname()[1]
        yield port


def test_taken_port_ends_the_start(production: bool, taken_port: int) -> None:
    line = _failed_start(faulty(production, "--port", str(taken_port)))
    assert str(taken_port) in line
    assert "--port" in line


@pytest.fixture(scope="module")
def first() -> Iterator[Server]:
    """Return a server that is there before those of the tests."""
    with faulty(True) as server:
        yield server


async def test_two_servers_do_not_share_a_port(first: Server, production: bool) -> None:
    port = str(first.port)
    assert port in _failed_start(faulty(production, "--port", port))
    assert (await request(first.port, "/readyz", method="GET")).status == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_while_models_load_in_processes(number: signal.Signals) -> None:
    server = faulty(True, fault="hang")
    try:
        server.start()
        pids = server.wait_processes("runner-fragile", "runner-other", "api-0")
        assert server.stop(number) == 0
        wait_gone(pids.values())
        assert server.leftovers() == []
    finally:
        server.close()


def test_signal_while_the_model_loads_in_one_process(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    environment = {"FAULT": "gate", "GATE": str(gate)}
    server = Server("faults:svc", production=False, environment=environment)
    try:
        server.start()
        with gate.open("w"):  # opens once the model reads it
            assert server.stop(signal.SIGTERM) == -signal.SIGTERM
    finally:
        server.close()


def test_processes_end_when_the_supervisor_is_killed_during_start() -> None:
    server = faulty(True, fault="hang")
    try:
        server.start()
        pids = server.wait_processes("runner-fragile", "runner-other", "api-0")
        server.send(signal.SIGKILL)
        wait_gone(pids.values())
    finally:
        server.close()


async def _first_answer(port: int) -> Response:
    """Request /readyz as soon as the port is open."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return await request(port, "/readyz", method="GET")
        except ConnectionError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)


async def test_readyz_waits_for_warm_runners(tmp_path: Path, free_port: int) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    server = Server(
        "faults:svc",
        *("--port", str(free_port), "--api-workers", "1"),
        production=True,
        environment={"FAULT": "gate", "GATE": str(gate)},
    )
    try:
        server.start()
        response = await _first_answer(free_port)
        assert response.status == 503
        assert response.json()["runners"] == {"fragile": False}
        assert (await request(free_port, "/livez", method="GET")).status == 200
        refused = await request(free_port, "/predict", [1])
        assert (refused.status, refused.error["code"]) == (503, "unavailable")
        assert int(refused.headers["retry-after"]) >= 1
        gate.write_text("open")
        server.wait_ready()
        response = await request(free_port, "/readyz", method="GET")
        assert response.status == 200
        assert (await request(free_port, "/predict", [1])).json() == [1]
    finally:
        server.close()
