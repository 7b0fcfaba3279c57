"""The access log: it never waits for its reader, and reports dropped entries."""

import asyncio
import io
import json
import logging
import os
import threading
from collections.abc import Iterator
from typing import Any, TextIO

import pytest

from headway.config.schema import ApiServerConfig
from headway.core.clock import MonotonicClock
from headway.core.log import configure
from headway.http.head import HeadParser
from headway.http.request import Request
from headway.metrics import MetricsRegistry
from headway.metrics.families import ACCESS_LOG_DROPPED
from headway.observability.access_log import AccessEntry, AccessLog
from headway.observability.request_trace import RequestTrace, Telemetry
from tests.metrics.samples import samples_of

Pipe = tuple[TextIO, TextIO]


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    """Leave the root logger to pytest as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """Return a log's stream, and the end where it is read."""
    read, write = os.pipe()
    with os.fdopen(read) as reader, os.fdopen(write, "w") as log:
        yield reader, log


def entry(number: int = 0, path: str = "/predict") -> AccessEntry:
    return AccessEntry(1e9 + number, "POST", path, 200, 5, 0.0125, f"id-{number}")


def counted(registry: MetricsRegistry) -> float:
    return sum(
        sample.value
        for sample in samples_of(registry)
        if sample.family is ACCESS_LOG_DROPPED
    )


def make(*, most: int = 1000) -> tuple[AccessLog, MetricsRegistry]:
    registry = MetricsRegistry(None)
    registry.start()
    dropped = registry.counter(ACCESS_LOG_DROPPED, ())
    loop = asyncio.get_running_loop()
    return AccessLog(loop=loop, dropped=dropped, max_waiting=most), registry


async def test_entries_are_lines_of_the_log() -> None:
    stream = io.StringIO()
    configure("api-0", format="json", stream=stream)
    log, registry = make()
    log.start()
    log.offer([entry(1), entry(2)])
    await log.aclose()
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first == {
        "time": "2001-09-09T01:46:41.000Z",
        "level": "INFO",
        "process": "api-0",
        "logger": "headway.access",
        "message": "POST /predict 200 5 bytes 12.500 ms",
        "method": "POST",
        "path": "/predict",
        "status": 200,
        "bytes": 5,
        "milliseconds": 12.5,
        "request_id": "id-1",
    }
    assert second["request_id"] == "id-2"
    assert counted(registry) == 0


async def test_a_stalled_reader_delays_no_request(pipe: Pipe) -> None:
    reader, stream = pipe
    configure("api-0", format="json", stream=stream)
    log, registry = make(most=2000)
    log.start()
    offered = 0
    while not counted(registry):  # the pipe is full, then the log
        log.offer([entry(offered + n) for n in range(100)])
        offered += 100
        assert offered < 100_000
    dropped = int(counted(registry))
    lines: list[dict[str, Any]] = []
    reported = threading.Event()

    def read() -> None:
        for line in reader:
            lines.append(json.loads(line))
            if lines[-1]["level"] == "WARNING":
                reported.set()

    thread = threading.Thread(target=read)
    thread.start()
    while not await asyncio.to_thread(reported.wait, 0.01):
        log.offer([entry(offered)])  # the next entry reports the gap
        offered += 1
    await log.aclose()
    stream.close()
    await asyncio.to_thread(thread.join, 10)
    warnings = [line for line in lines if line["level"] == "WARNING"]
    assert sum(int(line["message"].split()[0]) for line in warnings) == counted(
        registry
    )
    written = [line["request_id"] for line in lines if line["level"] == "INFO"]
    assert len(written) == offered - counted(registry)
    assert len(set(written)) == len(written)
    assert dropped <= counted(registry)


async def test_closing_does_not_wait_for_a_stalled_reader(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, stream = pipe
    monkeypatch.setattr("headway.observability.access_log._CLOSE_S", 0.05)
    configure("api-0", stream=stream)
    log, _ = make(most=20_000)
    log.start()
    log.offer([entry(n) for n in range(20_000)])
    await log.aclose()

    def read() -> list[str]:
        return [reader.readline() for _ in range(20_000)]

    assert "[id-19999]" in (await asyncio.to_thread(read))[-1]


async def test_lines_are_written_whole(pipe: Pipe) -> None:
    reader, stream = pipe
    configure("api-0", stream=stream)
    written: list[int] = []
    os_write = os.write

    def write(fd: int, data: bytes) -> int:
        if fd == stream.fileno():
            written.append(len(data))
            assert data.endswith(b"\n")
        return os_write(fd, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", write)
        log, _ = make()
        log.start()
        log.offer([entry(n) for n in range(300)])
        log.offer([entry(300, path="/" + "x" * 10_000)])
        await log.aclose()
    assert sum(length > 4096 for length in written) == 1, "the long line alone"
    assert len(written) < 30
    stream.close()
    assert len(reader.readlines()) == 301


async def test_handlers_and_filters_of_users_apply() -> None:
    root = logging.getLogger()
    records: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    root.handlers[:] = [Keep()]
    root.setLevel("INFO")
    access = logging.getLogger("headway.access")

    def no_probes(record: logging.LogRecord) -> bool:
        return getattr(record, "path", None) != "/livez"

    access.addFilter(no_probes)
    try:
        log, _ = make()
        log.start()
        log.offer([entry(1), entry(2, path="/livez"), entry(3)])
        await log.aclose()
    finally:
        access.removeFilter(no_probes)
    assert [getattr(record, "request_id", None) for record in records] == [
        "id-1",
        "id-3",
    ]


async def test_a_handler_that_raises_loses_only_its_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.StringIO()
    configure("api-0", stream=stream)
    (handler,) = logging.getLogger().handlers
    handle_all = getattr(handler, "handle_all")  # noqa: B009 - not in Handler's type
    failures = iter([OSError("no space")])

    def fail_once(records: Any) -> None:
        for error in failures:
            raise error
        handle_all(records)

    monkeypatch.setattr(handler, "handle_all", fail_once)
    log, _ = make()
    log.start()
    log.offer([entry(n) for n in range(256)])
    log.offer([entry(256)])
    await log.aclose()
    assert "OSError: no space" in stream.getvalue()
    assert "[id-256] POST /predict 200" in stream.getvalue()


async def test_below_the_level_nothing_is_written() -> None:
    stream = io.StringIO()
    configure("api-0", "warning", stream=stream)
    log, _ = make()
    log.start()
    log.offer([entry()])
    await log.aclose()
    assert stream.getvalue() == ""


async def test_entries_of_a_turn_go_to_the_thread_together() -> None:
    stream = io.StringIO()
    configure("api-0", stream=stream)
    log, _ = make()
    log.start()

    offers: list[int] = []
    offer = log.offer

    def count(entries: Any) -> None:
        offers.append(len(entries))
        offer(entries)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "offer", count)
        for _ in range(3):
            log.note(entry(1))
        await asyncio.sleep(0)
        log.note(entry(2))
        await log.aclose()
    assert offers == [3, 1]
    assert stream.getvalue().count("[id-1] POST /predict 200 5 bytes 12.500 ms\n") == 3
    assert stream.getvalue().endswith("[id-2] POST /predict 200 5 bytes 12.500 ms\n")


async def test_requests_without_a_readable_head_have_dashes() -> None:
    stream = io.StringIO()
    configure("api-0", stream=stream)
    log, _ = make()
    log.start()
    telemetry = Telemetry(
        clock=MonotonicClock(),
        id_prefix=None,
        access_log=log,
        shows_timing=False,
    )
    head = HeadParser(ApiServerConfig()).parse(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    RequestTrace(Request(None, head, "GET", "", b"", 0.0), telemetry, None).finish(
        400, 7
    )
    await log.aclose()
    assert " - - 400 7 bytes " in stream.getvalue()
