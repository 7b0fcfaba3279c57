"""A collector of traces: takes OTLP over HTTP as real ones do, and keeps the spans."""

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

__all__ = ["Collector", "Span"]


class Span(NamedTuple):
    """A span as it was exported; ids are bytes."""

    name: str
    kind: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    links: list[tuple[bytes, bytes]]
    attributes: dict[str, Any]
    resource: dict[str, Any]
    state: str
    is_error: bool
    began_ns: int
    ended_ns: int

    @property
    def ids(self) -> tuple[bytes, bytes]:
        return self.trace_id, self.span_id


_KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}


class Collector:
    """Serves on a free port of this machine while it is entered.

    Args:
        is_stuck: Whether to take what comes and never answer.
    """

    def __init__(self, *, is_stuck: bool = False) -> None:
        self.spans: list[Span] = []
        self.paths: set[str] = set()
        self.headers: dict[str, str] = {}
        self._changed = threading.Condition()
        self._released = threading.Event()
        self.asked = threading.Event()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.asked.set()
                if is_stuck:
                    collector._released.wait()
                    return
                collector._take(self.path, dict(self.headers.items()), body)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def _take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._changed:
            self.paths.add(path)
            self.headers = {name.lower(): value for name, value in headers.items()}
            for group in request.resource_spans:
                resource = _attributes(group.resource.attributes)
                for scope in group.scope_spans:
                    self.spans += [_span(one, resource) for one in scope.spans]
            self._changed.notify_all()

    def wait(
        self, wanted: Callable[[list[Span]], bool], timeout_s: float = 20
    ) -> list[Span]:
        """Return the spans once they are as wanted."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not wanted(self.spans):
                left = deadline - time.monotonic()
                assert left > 0, "\n".join(map(str, self.spans))
                self._changed.wait(left)
            return list(self.spans)


def _span(one: Any, resource: dict[str, Any]) -> Span:
    return Span(
        name=one.name,
        kind=_KINDS[one.kind],
        trace_id=one.trace_id,
        span_id=one.span_id,
        parent_id=one.parent_span_id,
        links=[(link.trace_id, link.span_id) for link in one.links],
        attributes=_attributes(one.attributes),
        resource=resource,
        state=one.trace_state,
        is_error=one.status.code == 2,
        began_ns=one.start_time_unix_nano,
        ended_ns=one.end_time_unix_nano,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs
    }
