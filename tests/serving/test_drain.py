"""SIGTERM and SIGINT: accepted requests are answered, and no process is left."""

import asyncio
import json
import os
import re
import signal
from pathlib import Path

import pytest

from tests.serving.client import Connection, request
from tests.serving.load import Load
from tests.serving.processes import wait_gone
from tests.serving.server import Server

pytestmark = pytest.mark.timeout(60)  # several processes start in each


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_drain_answers_all_accepted_requests(
    production: bool, number: signal.Signals
) -> None:
    with Server("crawl:svc", production=production) as server:
        pids = server.processes().values()
        async with Load(server.port) as load:
            await load.wait_answers(200)
            if number == signal.SIGINT:
                os.killpg(server.pid, number)  # as Ctrl-C in a terminal does
            else:
                server.send(number)
            code = await asyncio.to_thread(server.wait)
        assert code == 0
        wait_gone(pids)
        assert server.leftovers() == []
        answered = sum(answer.status == 200 for answer in load.answers)
        begun = sum(int(n) for n in re.findall(r"begun: (\d+)", server.log))
        assert begun == answered
        # Besides, a connection may have been closed just before it was used again.
        assert {answer.status for answer in load.answers} <= {200, 0}
        assert " ERROR " not in server.log
        assert "Traceback" not in server.log


async def test_drain_finishes_a_long_request(production: bool, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    config = "api_server: {workers: 1}"
    with Server("crawl:svc", production=production, config=config) as server:
        idle = await Connection.open(server.port)
        async with await Connection.open(server.port) as connection, idle:
            connection.send("/hold", json.dumps(str(gate)))
            # Connections are served in order: the first request has been read by now.
            await idle.request("/livez", method="GET")
            await request(server.port, "/livez", method="GET")
            server.send(signal.SIGTERM)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await idle.receive()  # the drain has begun
            gate.write_text("held")
            response = await connection.receive()
            assert (response.status, response.body) == (200, b'"held"')
            assert response.headers["connection"] == "close"
        assert await asyncio.to_thread(server.wait) == 0


async def test_drain_drops_requests_after_the_shutdown_timeout(
    production: bool,
) -> None:
    config = "api_server: {shutdown_timeout_s: 0.3, workers: 1}"
    with Server("crawl:svc", production=production, config=config) as server:
        async with await Connection.open(server.port) as connection:
            connection.send("/wait", "60")
            await request(server.port, "/livez", method="GET")
            server.send(signal.SIGTERM)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await connection.receive()
        await asyncio.to_thread(server.wait)
        assert server.leftovers() == []


async def test_processes_end_when_the_supervisor_is_killed() -> None:
    with Server("crawl:svc", production=True) as server:
        pids = server.processes()
        async with Load(server.port) as load:
            await load.wait_answers(100)
            server.send(signal.SIGKILL)
            await asyncio.to_thread(wait_gone, pids.values())
        assert server.wait() == -signal.SIGKILL
        # The folder of its run is swept by the next server.
        left = server.leftovers()
        assert len(left) == 1
        environment = {"TMPDIR": str(server.folder)}
        with Server("crawl:svc", environment=environment):
            assert len(server.leftovers()) == 1
            assert server.leftovers() != left
