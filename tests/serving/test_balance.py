"""Connections of real clients move from a busy API worker to an idle one."""

import asyncio
import itertools
import os
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Self

import pytest

from tests.serving.client import Connection, request
from tests.serving.metrics import scrape
from tests.serving.server import Server

pytestmark = pytest.mark.timeout(90)  # several processes start in each

_SERVICE = """
import os
import sys
import time

import headway

svc = headway.Service("spin")
begun = 0


@svc.on_shutdown
def end() -> None:
    sys.stderr.write(f"begun: {begun}\\n")


@svc.api
async def spin(value: int) -> list[int]:
    global begun
    begun += 1
    end = time.perf_counter() + 0.002  # a function that keeps its worker busy
    while time.perf_counter() < end:
        pass
    return [value, os.getpid()]
"""


@pytest.fixture
def service(tmp_path: Path) -> Path:
    (tmp_path / "service.py").write_text(_SERVICE)
    return tmp_path


def serve(folder: Path, *, workers: int = 2, balance: bool = True) -> Server:
    config = f"api_server: {{workers: {workers}, balance: {str(balance).lower()}}}"
    return Server("service:svc", production=True, config=config, working_dir=folder)


class Asker:
    """A client with one connection that sends its next request after each answer."""

    def __init__(self, connection: Connection, number: int) -> None:
        self.connection = connection
        self._value = 1_000_000 * number
        self.pids: list[int] = []
        """Who answered, each time."""
        self.lost = False
        """Its connection ended before an answer."""

    @property
    def has_moved(self) -> bool:
        return self.pids[-1] != self.pids[0]

    async def ask(self) -> int:
        self._value += 1
        response = await self.connection.request("/spin", str(self._value))
        value, pid = response.json()
        assert (response.status, value) == (200, self._value)
        self.pids.append(pid)
        if response.headers.get("connection") == "close":
            raise ConnectionResetError
        return int(pid)


class Crowd:
    """Clients of one worker, which send requests while this is entered."""

    def __init__(self, askers: list[Asker], strangers: int) -> None:
        self.askers = askers
        self.strangers = strangers
        """Requests on connections to other workers, which were closed."""
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._ask_on(a)) for a in self.askers]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    async def _ask_on(self, asker: Asker) -> None:
        try:
            while True:
                await asker.ask()
                self._changed.set()
        except (ConnectionError, asyncio.IncompleteReadError):
            asker.lost = True
            self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until it holds, looking after each answer."""
        async with asyncio.timeout(40):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def moved(self) -> list[Asker]:
        """Wait until another worker answers clients, and return those."""
        await self.until(lambda: any(asker.has_moved for asker in self.askers))
        return [asker for asker in self.askers if asker.has_moved]


@asynccontextmanager
async def on_one_worker(port: int, count: int) -> AsyncIterator[Crowd]:
    """Connect until one worker has `count` connections; the others are closed."""
    by_worker: dict[int, list[Asker]] = {}
    async with AsyncExitStack() as stack:
        for number in itertools.count():
            asker = Asker(await Connection.open(port), number)
            stack.push_async_callback(asker.connection.close)
            mine = by_worker.setdefault(await asker.ask(), [])
            mine.append(asker)
            if len(mine) == count:
                break
        others = [a for each in by_worker.values() if each is not mine for a in each]
        for other in others:
            await other.connection.close()
        async with Crowd(mine, len(others)) as crowd:
            yield crowd


async def test_two_clients_of_one_worker_are_parted(service: Path) -> None:
    with serve(service) as server:
        workers = {
            pid for name, pid in server.processes().items() if name.startswith("api-")
        }
        async with on_one_worker(server.port, 2) as crowd:
            (gone,) = await crowd.moved()
            asked = len(gone.pids)
            await crowd.until(lambda: len(gone.pids) == asked + 300)  # there it stays
            assert {asker.pids[-1] for asker in crowd.askers} == workers
            changes = [
                (one, other)
                for asker in crowd.askers
                for one, other in itertools.pairwise(asker.pids)
                if one != other
            ]
            assert len(changes) == 1
            assert not any(asker.lost for asker in crowd.askers)
            metrics = await scrape(server.port)
            assert metrics.total("headway_connections_moved_total") == 1
        assert server.stop() == 0
        assert " ERROR " not in server.log
        assert "Traceback" not in server.log


async def test_without_balance_they_stay(service: Path) -> None:
    with serve(service, balance=False) as server:
        async with on_one_worker(server.port, 2) as crowd:
            await crowd.until(lambda: min(len(a.pids) for a in crowd.askers) > 600)
            assert not any(asker.has_moved for asker in crowd.askers)
        (folder,) = server.leftovers()
        assert not list((server.folder / folder).glob("a*"))


async def test_a_drain_amid_moves_loses_no_request(service: Path) -> None:
    with serve(service, workers=3) as server:
        async with on_one_worker(server.port, 8) as crowd:
            await crowd.moved()
            server.send(signal.SIGTERM)
            code = await asyncio.to_thread(server.wait)
            await crowd.until(lambda: all(asker.lost for asker in crowd.askers))
        assert code == 0
        begun = sum(int(n) for n in re.findall(r"begun: (\d+)", server.log))
        answered = sum(len(asker.pids) for asker in crowd.askers)
        assert begun == crowd.strangers + answered
        assert server.leftovers() == []
        assert " ERROR " not in server.log
        assert "Traceback" not in server.log


async def test_a_worker_that_is_killed_takes_only_its_own_with_it(
    service: Path,
) -> None:
    with serve(service) as server:
        names = {pid: name for name, pid in server.processes().items()}
        async with on_one_worker(server.port, 6) as crowd:
            gone = await crowd.moved()
            home = crowd.askers[0].pids[0]
            mark = server.mark
            server.kill(names[home])
            # Only connections that had not moved are lost.
            await crowd.until(lambda: all(a.lost or a.has_moved for a in crowd.askers))
            assert any(asker.lost for asker in crowd.askers)
            again = f"{names[home]} is ready again"
            await asyncio.to_thread(server.wait_for, again, after=mark)
            asked = sum(len(asker.pids) for asker in gone)
            await crowd.until(lambda: sum(len(a.pids) for a in gone) > asked + 100)
            assert not any(asker.lost for asker in gone)
        # The one that was started again takes part.
        async with on_one_worker(server.port, 2) as crowd:
            await crowd.moved()


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
async def test_new_connections_are_answered_without_a_worker(
    service: Path, number: signal.Signals
) -> None:
    config = "api_server: {workers: 2, restart: {delay_s: 30}}"
    with Server(
        "service:svc", production=True, config=config, working_dir=service
    ) as server:
        pids = server.processes()
        os.kill(pids["api-0"], number)
        try:
            for value in range(50):
                answer = await request(server.port, "/spin", str(value))
                assert answer.json() == [value, pids["api-1"]]
        finally:
            if number == signal.SIGSTOP:
                os.kill(pids["api-0"], signal.SIGCONT)
        if number == signal.SIGSTOP:
            assert server.stop() == 0


async def test_new_connections_are_spread_over_the_workers(service: Path) -> None:
    with serve(service) as server:
        async with AsyncExitStack() as stack:
            opening = [Connection.open(server.port) for _ in range(100)]
            connections = await asyncio.gather(*opening)
            for connection in connections:
                stack.push_async_callback(connection.close)
            answers = [await c.request("/spin", "1") for c in connections]
            pids = Counter(answer.json()[1] for answer in answers)
            assert len(pids) == 2
            assert min(pids.values()) >= 30
