"""Traces at a collector: spans of requests, of calls, and of linked batches."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.serving.client import Connection, request
from tests.serving.collector import Collector, Span
from tests.serving.processes import paused
from tests.serving.server import Server

pytestmark = pytest.mark.timeout(60)  # a server with several processes starts

_CONFIG = """
api_server: {{workers: 1, request_ids: true}}
tracing: {{enabled: true, otlp_endpoint: "{url}/"}}
"""
_ENVIRONMENT = {"OTEL_BSP_SCHEDULE_DELAY": "100"}
_TRACE = bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736")
_SPAN = bytes.fromhex("00f067aa0ba902b7")


def parent(trace: bytes = _TRACE, *, sampled: bool = True) -> dict[str, str]:
    return {"traceparent": f"00-{trace.hex()}-{_SPAN.hex()}-{sampled:02x}"}


def trace_of(number: int) -> bytes:
    return number.to_bytes(16, "big")


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


@pytest.fixture(scope="module", params=["embedded", "production", "middleware"])
def server(request: pytest.FixtureRequest, collector: Collector) -> Iterator[Server]:
    """Return one process, several, and one whose requests pass through middleware."""
    with Server(
        "observed:svc",
        production=request.param == "production",
        config=_CONFIG.format(url=collector.url),
        environment={
            **_ENVIRONMENT,
            "MIDDLEWARE": "1" if request.param == "middleware" else "",
        },
    ) as made:
        yield made


async def spans_of(collector: Collector, trace: bytes, *, number: int) -> list[Span]:
    """Return a trace's spans and its linked batches, once there are this many."""

    def of_trace(spans: list[Span]) -> list[Span]:
        return [
            span
            for span in spans
            if span.trace_id == trace or any(link[0] == trace for link in span.links)
        ]

    everything = await asyncio.to_thread(
        collector.wait, lambda spans: len(of_trace(spans)) >= number
    )
    found = of_trace(everything)
    assert len(found) == number, found
    return sorted(found, key=lambda span: span.began_ns)


def one(spans: list[Span], kind: str) -> Span:
    (found,) = [span for span in spans if span.kind == kind]
    return found


@pytest.mark.parametrize("path", ["/double", "/double_sync"])
async def test_spans_of_request_call_and_batch(
    server: Server, collector: Collector, path: str
) -> None:
    trace = trace_of(hash((server.port, path)) % 2**100 + 1)
    before_ns = time.time_ns()
    answer = await request(
        server.port,
        path,
        "4",
        headers={**parent(trace), "tracestate": "vendor=x", "x-request-id": "mine"},
    )
    assert answer.json() == 8
    spans = await spans_of(collector, trace, number=3)
    served, call, batch = (
        one(spans, kind) for kind in ("server", "client", "consumer")
    )
    assert served.name == f"POST {path}"
    assert served.parent_id == _SPAN
    assert served.state == "vendor=x"
    assert served.attributes == {
        "http.request.method": "POST",
        "http.route": path,
        "url.path": path,
        "http.response.status_code": 200,
        "headway.request_id": "mine",
    }
    assert call.name == "doubler.double"
    assert call.parent_id == served.span_id
    assert call.attributes["headway.batch.rows"] == 1
    assert call.attributes["headway.queue_ms"] >= 0
    assert call.attributes["headway.compute_ms"] > 0
    assert batch.name == "batch doubler.double"
    assert batch.links == [call.ids]
    assert batch.trace_id != trace
    assert batch.parent_id == b""
    assert batch.attributes["headway.batch.rows"] == 1
    assert batch.attributes["headway.batch.requests"] == 1
    assert batch.attributes["headway.queue_ms"] >= 0
    assert not any(span.is_error for span in spans)
    slack_ns = 50_000_000  # each process has its own idea of the time of day
    assert before_ns - slack_ns < served.began_ns <= call.began_ns <= call.ended_ns
    assert call.ended_ns <= served.ended_ns < time.time_ns() + slack_ns
    assert batch.began_ns > call.began_ns - slack_ns
    assert batch.ended_ns < served.ended_ns + slack_ns
    processes = {span.resource["headway.process"] for span in spans}
    expected = {"api-0", "runner-doubler"} if server.processes() else {"embedded"}
    assert processes == expected
    assert {span.resource["service.name"] for span in spans} == {"observed"}
    assert collector.paths == {"/v1/traces"}


async def test_concurrent_calls_are_sibling_spans(
    server: Server, collector: Collector
) -> None:
    trace = trace_of(server.port * 1000 + 1)
    await request(server.port, "/both", "4", headers=parent(trace))
    spans = await spans_of(collector, trace, number=5)
    served = one(spans, "server")
    calls = [span for span in spans if span.kind == "client"]
    batches = [span for span in spans if span.kind == "consumer"]
    assert {call.name for call in calls} == {"doubler.double", "halver.halve"}
    assert {call.parent_id for call in calls} == {served.span_id}
    links = {batch.name: batch.links for batch in batches}
    assert links == {f"batch {call.name}": [call.ids] for call in calls}


async def test_batch_span_links_to_traced_requests(
    server: Server, collector: Collector
) -> None:
    traces = [trace_of(server.port * 1000 + 100 + n) for n in range(24)]
    connections = [await Connection.open(server.port) for _ in traces]
    for connection in connections:  # so that the server has accepted it
        await connection.request("/livez", method="GET")
    with paused(server.processes().get("api-0", server.pid)):
        for number, connection in enumerate(connections):
            headers = parent(traces[number], sampled=number % 3 != 0)
            connection.send("/double", "4", headers=headers)
    for connection in connections:
        assert (await connection.receive()).status == 200
        await connection.close()
    sampled = {trace for number, trace in enumerate(traces) if number % 3}
    batches: list[Span] = []
    for trace in sampled:
        spans = await spans_of(collector, trace, number=3)
        call, batch = one(spans, "client"), one(spans, "consumer")
        assert call.ids in batch.links
        batches.append(batch)
    distinct = {batch.ids: batch for batch in batches}.values()
    linked = [link[0] for batch in distinct for link in batch.links]
    assert sorted(linked) == sorted(sampled), "each once, and none of the others"
    assert max(batch.attributes["headway.batch.requests"] for batch in distinct) > 1
    assert max(len(batch.links) for batch in distinct) > 1


async def test_failures_are_recorded_in_spans(
    server: Server, collector: Collector
) -> None:
    trace = trace_of(server.port * 1000 + 2)
    answer = await request(server.port, "/double", "-1", headers=parent(trace))
    assert answer.status == 500
    spans = await spans_of(collector, trace, number=3)
    served, call = one(spans, "server"), one(spans, "client")
    assert served.is_error
    assert served.attributes["error.type"] == "500"
    assert served.attributes["http.response.status_code"] == 500
    assert call.is_error
    assert call.attributes["error.type"] == "model_failed"
    trace = trace_of(server.port * 1000 + 3)
    assert (
        await request(server.port, "/double", "x", headers=parent(trace))
    ).status == 400
    (served,) = await spans_of(collector, trace, number=1)
    assert not served.is_error, "the fault is the client's"
    assert served.attributes["http.response.status_code"] == 400


async def test_unsampled_requests_have_no_spans(
    server: Server, collector: Collector
) -> None:
    unwanted = trace_of(server.port * 1000 + 4)
    for path, headers in (
        ("/double", parent(unwanted, sampled=False)),
        ("/nowhere", parent(unwanted)),
    ):
        await request(server.port, path, "4", headers=headers)
    await request(server.port, "/livez", method="GET", headers=parent(unwanted))
    wanted = trace_of(server.port * 1000 + 5)
    await request(server.port, "/double", "4", headers=parent(wanted))
    await spans_of(collector, wanted, number=3)
    assert not any(span.trace_id == unwanted for span in collector.spans)


async def test_spans_are_flushed_at_the_end(production: bool) -> None:
    with Collector() as collector:
        environment = {
            "OTEL_BSP_SCHEDULE_DELAY": "3600000",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=blue",
            "OTEL_SERVICE_NAME": "scores",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test",
        }
        with Server(
            "observed:svc",
            production=production,
            config="tracing: {enabled: true}\napi_server: {workers: 1}",
            environment=environment,
        ) as server:
            for _ in range(3):
                answer = await request(server.port, "/double", "4")
                assert "x-request-id" not in answer.headers
            assert not collector.spans
            assert server.stop() == 0
        kinds = [span.kind for span in collector.spans]
        assert (kinds.count("server"), kinds.count("client")) == (3, 3)
        assert 1 <= kinds.count("consumer") <= 3
        resource = collector.spans[0].resource
        assert resource["service.name"] == "scores"
        assert resource["deployment.environment"] == "test"
        assert collector.headers["x-tenant"] == "blue"


async def test_hanging_collector_does_not_delay_the_end(
    production: bool,
) -> None:
    with Collector(is_stuck=True) as collector:
        config = _CONFIG.format(url=collector.url)
        with Server(
            "observed:svc",
            production=production,
            config=config,
            environment=_ENVIRONMENT,
        ) as server:
            assert (await request(server.port, "/double", "4")).json() == 8
            assert await asyncio.to_thread(collector.asked.wait, 10)
            assert (await request(server.port, "/double", "4")).json() == 8
            server.send(signal.SIGTERM)
            assert await asyncio.to_thread(server.wait, 20) == 0
            assert server.has("the last spans were not exported within 3 s")


async def test_sample_ratio() -> None:
    with Collector() as collector:
        config = (
            f"tracing: {{enabled: true, otlp_endpoint: '{collector.url}', "
            "sample_ratio: 0}\n"
        )
        with Server("observed:svc", config=config) as server:
            for _ in range(5):
                await request(server.port, "/double", "4")
            await request(server.port, "/double", "4", headers=parent())
            assert server.stop() == 0
        assert {span.trace_id for span in collector.spans if not span.links} == {_TRACE}


async def test_spans_of_the_api_function_are_children() -> None:
    with Collector() as collector:
        with Server(
            "traced:svc",
            config=_CONFIG.format(url=collector.url),
            environment=_ENVIRONMENT,
        ) as server:
            trace = trace_of(77)
            answer = await request(server.port, "/double", "4", headers=parent(trace))
            assert answer.json() == 8
            await request(
                server.port, "/double", "4", headers=parent(trace_of(78), sampled=False)
            )
            assert server.stop() == 0
        spans = [span for span in collector.spans if span.trace_id == trace]
        by_kind: dict[str, Any] = {span.kind: span for span in spans}
        assert by_kind["internal"].name == "a step of the function"
        assert by_kind["internal"].parent_id == by_kind["server"].span_id
        assert by_kind["client"].parent_id == by_kind["internal"].span_id
        assert len(collector.spans) == 4, "nothing of the other request"


@pytest.mark.parametrize(
    ("production", "variables", "said"),
    [
        pytest.param(
            False,
            {"OTEL_TRACES_SAMPLER": "jaeger_remote"},
            "$OTEL_TRACES_SAMPLER is 'jaeger_remote': give always_on, always_off or",
            id="sampler",
        ),
        pytest.param(
            True,
            {"PYTHONPATH": "HIDDEN"},
            "tracing.enabled needs OpenTelemetry: pip install 'headway[otel]'",
            id="not-installed",
        ),
    ],
)
def test_invalid_tracing_setup_ends_the_start(
    production: bool, variables: dict[str, str], said: str, tmp_path: Any
) -> None:
    package = tmp_path / "opentelemetry"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('hidden')")
    hiding = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = {
        name: hiding if value == "HIDDEN" else value
        for name, value in variables.items()
    }
    server = Server(
        "observed:svc",
        production=production,
        config="tracing: {enabled: true}",
        environment=environment,
    )
    try:
        server.start()
        assert server.wait(30) == 1
        assert said in server.log
    finally:
        server.close()
