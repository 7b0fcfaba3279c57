"""One warm request passes few files, and docs/design/architecture.md lists them.

The API worker and the runner of production run in this thread, connected by their Unix
socket, so that one profiler sees both ends.
"""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import uvloop

import headway
from headway.config.resolution import ResolvedConfig, resolve
from headway.core.run_dir import RunDir
from headway.io import NumpyNdarray
from headway.server import process
from headway.server.control import ProcessSpec, Role
from headway.server.sockets import bind_http, bind_unix

SOURCE = Path(headway.__file__).parent
PAGE = SOURCE.parents[1] / "docs" / "design" / "architecture.md"
SECTION = "One request, by file names"
LOOP_TURNS = 20
"""Callbacks that follow an answer, as of the meters, run within fewer turns."""
MOST_FILES = 25
WARM_UP_REQUESTS = 300
BODY = b"[[1,2,3,4]]"
REQUEST = (
    b"POST /row_sums HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(BODY), BODY)
)

pytestmark = pytest.mark.interpreted  # compiled functions do not call the profiler


class RowSums(headway.Runnable):
    @headway.Runnable.method(batchable=True)
    def predict(self, rows: np.ndarray[Any, Any]) -> Any:
        return rows.sum(axis=1)


def make_service() -> headway.Service:
    runner = headway.Runner(RowSums, name="sums")
    service = headway.Service("path", runners=[runner])

    @service.api(
        input=NumpyNdarray(dtype="float64", shape=(-1, 4), enforce_shape=True),
        output=NumpyNdarray(),
    )
    async def row_sums(rows: np.ndarray[Any, Any]) -> Any:
        return await runner.predict.async_run(rows)

    return service


def make_spec(
    role: Role, *, config: ResolvedConfig, run_dir: RunDir, socket: int
) -> ProcessSpec:
    return ProcessSpec(
        role=role,
        name=role,
        service="none:none",
        working_dir=".",
        config=config,
        run_dir=str(run_dir.path),
        runner="sums",
        sockets=(socket,),
    )


async def profiled(request: Callable[[], Awaitable[bytes]]) -> set[str]:
    """Return the files of Headway, relative to it, that run during one request."""
    seen: set[str] = set()

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            seen.add(frame.f_code.co_filename)

    sys.setprofile(profile)
    try:
        assert await request() == b"[10.0]"
        for _ in range(LOOP_TURNS):  # the runner finishes the batch
            await asyncio.sleep(0)
    finally:
        sys.setprofile(None)
    prefix = f"{SOURCE}/"
    return {name.removeprefix(prefix) for name in seen if name.startswith(prefix)}


async def files_of_requests(run_dir: RunDir) -> set[str]:
    """Return the files that each of several warm requests passes."""
    service = make_service()
    config = resolve(
        environ={},
        flags={"api_server.live": False},
        runner_methods={"sums": ["predict"]},
    )
    listening = bind_unix(run_dir.runner_socket(0)).detach()
    runner = process.build(
        make_spec("runner", config=config, run_dir=run_dir, socket=listening), service
    )
    bound = bind_http("127.0.0.1", 0)
    port = bound.getsockname()[1]
    worker = process.build(
        make_spec("api", config=config, run_dir=run_dir, socket=bound.detach()), service
    )
    for started in (runner, worker):
        await started.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def request() -> bytes:
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        assert length is not None, head
        return await reader.readexactly(int(length[1]))

    for _ in range(WARM_UP_REQUESTS):
        await request()
    # A file that only some requests pass, as for a timer, is not on the path.
    files = set.intersection(*[await profiled(request) for _ in range(5)])
    writer.close()
    for drained in (worker, runner):
        await drained.drain(1.0)
        await drained.aclose()
    return files


@pytest.fixture(scope="module")
def path() -> set[str]:
    run_dir = RunDir.create()
    try:
        return uvloop.run(files_of_requests(run_dir))
    finally:
        run_dir.remove()


def test_warm_request_passes_few_files(path: set[str]) -> None:
    assert len(path) <= MOST_FILES, sorted(path)


def test_architecture_page_lists_the_files_of_a_request(path: set[str]) -> None:
    """They stand in bold (**`http/connection.py`**); others serve some requests."""
    section = PAGE.read_text(encoding="utf-8").partition(f"## {SECTION}\n")[2]
    section = section.partition("\n## ")[0]
    listed = set(re.findall(r"\*\*`([a-z_/]+\.py)`\*\*", section))
    assert listed == path
