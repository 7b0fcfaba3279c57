"""Large arrays: intact at any size, safe to keep, and their memory is freed."""

import asyncio
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.serving.client import Connection, Response, request
from tests.serving.load import Load
from tests.serving.processes import shared_memory, wait_gone
from tests.serving.server import Server

pytestmark = pytest.mark.timeout(90)  # several processes start in each

SOON_S = 10
"""Far below the time-out of 60 s; some megabytes are on the way at once."""
SIZES_KIB = (1, 60, 127, 128, 300, 2048, 8192)
NPY = {"content-type": "application/x-npy", "accept": "application/x-npy"}
_SERVER = "api_server: {workers: 2, max_body_bytes: 33554432}\n"
CONFIGS = {
    "embedded": "",
    "memory": "",
    "replicas": "workers_per_resource: 2",
    "small memory": "shared_memory_bytes: 1000000",
    "no memory": "shared_memory_bytes: 0",
}


def _npy(array: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _rows(number: int, rows: int, width: int) -> bytes:
    return _npy(np.arange(number, number + rows * width, dtype=float).reshape(rows, -1))


def _doubled(response: Response) -> bytes:
    """Return the body of which this is the answer."""
    assert response.status == 200, response.body[:500]
    return _npy(np.load(io.BytesIO(response.body)) / 2)


@pytest.fixture(scope="module", params=CONFIGS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(kind: str) -> Iterator[Server]:
    """Return a server of each kind; at its end nothing of it may be left."""
    before = _in_dev_shm()
    config = f"{_SERVER}runners: {{{CONFIGS[kind]}}}"
    with Server("hoard:svc", production=kind != "embedded", config=config) as server:
        yield server
        pids = server.processes().values()
        assert server.stop() == 0
        wait_gone(pids)
    assert _in_dev_shm() <= before


async def test_arrays_of_all_sizes_arrive_intact(server: Server, kind: str) -> None:
    """From 1 KiB to 8 MiB, several at once, split or shared or alone."""

    async def client(number: int) -> None:
        async with await Connection.open(server.port) as connection:
            for at, size in enumerate(SIZES_KIB):
                path = ("/double", "/overwrite", "/whole")[(number + at) % 3]
                # As one row, and as more than a batch may have.
                for rows in (1, 128):
                    body = _rows(number, rows, size * 128 // rows)
                    answer = await connection.request(path, body, headers=NPY)
                    assert _doubled(answer) == body

    await asyncio.gather(*(client(number) for number in range(4)))
    for _ in range(8):  # of each process
        assert (await request(server.port, "/spoiled")).json() == [0, 0]
    used = [shared_memory(pid).used_bytes for pid in server.processes().values()]
    if kind in ("embedded", "no memory"):
        assert not any(used)
    else:
        assert max(used) > (500_000 if kind == "small memory" else 8_000_000)


@pytest.mark.parametrize("kind", ["memory"], indirect=True)
async def test_failed_input_that_the_model_writes_to(server: Server) -> None:
    """The other calls of the batch are computed again, from their callers' data."""
    good, bad = _rows(1, 1, 50_000), _npy(np.full((1, 50_000), np.nan))

    async def ask(number: int) -> None:
        body = bad if number % 4 == 0 else good
        answer = await request(server.port, "/overwrite", body, headers=NPY)
        if number % 4:
            assert _doubled(answer) == good
        else:
            assert answer.error["code"] == "model_failed"

    for _ in range(3):
        await asyncio.gather(*(ask(number) for number in range(12)))


class LargeLoad(Load):
    """Sends arrays of 600 kB."""

    async def _request(self, connection: Connection, row: int) -> Response:
        return await connection.request("/double", _rows(row, 1, 75_000), headers=NPY)

    def _check(self, response: Response, row: int) -> None:
        assert _doubled(response) == _rows(row, 1, 75_000)


def _check_memory(server: Server, connections: Iterable[tuple[str, str]]) -> None:
    """Assert that each pair of processes has one memory in common, and none besides."""
    pids = server.processes()
    found = {name: shared_memory(pid) for name, pid in pids.items()}
    wanted = dict.fromkeys(pids, 0)
    for one, other in connections:
        wanted[one] += 1
        wanted[other] += 1
        assert len({*found[one].opened} & {*found[other].opened}) == 1
    for name, memory in found.items():
        assert len(memory.opened) == wanted[name], (name, found)
        assert memory.mapped == memory.opened


def _in_dev_shm() -> set[str]:
    return {path.name for path in Path("/dev/shm").iterdir()}


@pytest.mark.parametrize("killed", ["runner-hoarder", "api-0"])
@pytest.mark.parametrize("kind", ["memory"], indirect=True)
async def test_killed_process_frees_its_shared_memory(
    server: Server, killed: str
) -> None:
    before = _in_dev_shm()
    connections = [("api-0", "runner-hoarder"), ("api-1", "runner-hoarder")]
    _check_memory(server, connections)
    async with LargeLoad(server.port, clients=16) as load:
        for _ in range(2):
            mark = server.mark
            await load.wait_answers(30)
            server.kill(killed)
            again = f"{killed} is ready again"
            await asyncio.to_thread(server.wait_for, again, after=mark)
        await load.wait_answers(30)
    lost = 503 if killed.startswith("runner") else 0
    assert {answer.status for answer in load.answers} == {200, lost}
    if killed.startswith("runner"):  # an API worker's successor has to start first
        assert max(answer.took_s for answer in load.answers) < SOON_S
    _check_memory(server, connections)
    assert _in_dev_shm() <= before
    for _ in range(8):
        assert (await request(server.port, "/spoiled")).json() == [0, 0]


@pytest.mark.parametrize("killed", ["runner-hoarder", "replica-hoarder-1"])
@pytest.mark.parametrize("kind", ["replicas"], indirect=True)
async def test_killed_replica_frees_its_shared_memory(
    server: Server, killed: str
) -> None:
    connections = [
        (other, "runner-hoarder")
        for other in ("api-0", "api-1", "replica-hoarder-0", "replica-hoarder-1")
    ]
    async with LargeLoad(server.port, clients=16) as load:
        mark = server.mark
        await load.wait_answers(30)
        server.kill(killed)
        again = f"{killed} is ready again"
        await asyncio.to_thread(server.wait_for, again, after=mark)
        await load.wait_answers(30)
    statuses = {answer.status for answer in load.answers}
    assert statuses == ({200, 503} if killed.startswith("runner") else {200})
    assert max(answer.took_s for answer in load.answers) < SOON_S
    _check_memory(server, connections)
