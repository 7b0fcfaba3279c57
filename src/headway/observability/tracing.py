"""The SDK of OpenTelemetry in one process: makes spans, and exports them by OTLP.

observability/request_trace and runner/dispatcher make spans with it. Only this module
imports the SDK, which needs the extra `otel`.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from headway.config.schema import TracingConfig
from headway.core.clock import Clock
from headway.core.version import __version__
from headway.errors import MissingExtraError
from headway.observability.trace_context import SpanIds

_log = logging.getLogger(__name__)
_FLUSH_S = 3.0
"""For the last spans; a runner's process has 5 s to end."""
_TRACES_PATH = "/v1/traces"

Attributes = Mapping[str, str | int | float | bool]


class HttpRequest(Protocol):
    """The parts of a Request (http/request) that telemetry reads."""

    method: str
    path: str
    received_at: float

    def header(self, name: bytes) -> bytes | None:
        """Return the value of a header, by its name in lower case."""
        ...


class Tracing:
    """Makes the spans of one process; all are recorded, as callers sample first.

    Args:
        config: Where to send them.
        service: The service's name, if no variable of OpenTelemetry gives another.
        process: The process's name.
        clock: The clock of the times that it is given.
    """

    def __init__(
        self, *, config: TracingConfig, service: str, process: str, clock: Clock
    ) -> None:
        self._config = config
        self._service = service
        self._process = process
        self._now = clock.now
        self._sdk: Any = None
        self._context: Any = None
        self._tracer: Any = None
        self._processor: Any = None

    def start(self) -> None:
        """Start the thread that exports.

        Raises:
            MissingExtraError: If OpenTelemetry is not installed.
        """
        try:
            from opentelemetry import context, trace
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
                OTLPSpanExporter,
            )
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider, sampling
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise MissingExtraError(
                "tracing.enabled needs OpenTelemetry: pip install 'headway[otel]'"
            ) from error
        self._sdk, self._context = trace, context
        endpoint = self._config.otlp_endpoint
        self._processor = BatchSpanProcessor(
            OTLPSpanExporter(endpoint=endpoint and endpoint.rstrip("/") + _TRACES_PATH)
        )
        resource = Resource.create()
        own = {"headway.process": self._process}
        if str(resource.attributes["service.name"]).startswith("unknown_service"):
            own["service.name"] = self._service
        resource = resource.merge(Resource(own))

        def provide(sampler: Any) -> Any:
            provider = TracerProvider(
                sampler=sampler, resource=resource, shutdown_on_exit=False
            )
            provider.add_span_processor(self._processor)
            return provider

        self._tracer = provide(sampling.ALWAYS_ON).get_tracer("headway", __version__)
        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            # For spans of the user's functions: only within ours.
            trace.set_tracer_provider(
                provide(sampling.ParentBased(root=sampling.ALWAYS_OFF))
            )

    async def aclose(self) -> None:
        """Export the last spans; give up if the collector does not take them."""
        if self._processor is None:
            return
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._processor.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop did not wait for it
                loop.call_soon_threadsafe(done.set)

        # Not a thread of the loop, which the process would wait for.
        threading.Thread(target=shut_down, name="headway-otel", daemon=True).start()
        try:
            async with asyncio.timeout(_FLUSH_S):
                await done.wait()
        except TimeoutError:
            _log.warning("the last spans were not exported within %g s", _FLUSH_S)

    def request_span(
        self, request: HttpRequest, parent: SpanIds | None, state: bytes | None
    ) -> Any:
        """Begin the span of a request.

        Args:
            request: It began when it was received.
            parent: The caller's span; None if there is none.
            state: The caller's `tracestate`.
        """
        trace = self._sdk
        # An empty context, as this may run in one with a span of another request.
        context = self._context.Context()
        if parent is not None:
            header = None if state is None else [state.decode("latin-1")]
            states = trace.TraceState.from_header(header) if header else None
            span = trace.NonRecordingSpan(self._span_context(parent, states))
            context = trace.set_span_in_context(span, context)
        return self._tracer.start_span(
            f"{request.method} {request.path}",
            context,
            kind=trace.SpanKind.SERVER,
            attributes={
                "http.request.method": request.method,
                "http.route": request.path,
                "url.path": request.path,
            },
            start_time=self._epoch_ns(request.received_at),
        )

    def call_span(self, runner: str, method: str) -> tuple[Any, SpanIds]:
        """Begin the span of a runner call, within that of its function.

        Returns:
            The span, and its ids, which the span of the batch links to.
        """
        span = self._tracer.start_span(
            f"{runner}.{method}",
            kind=self._sdk.SpanKind.CLIENT,
            attributes={"headway.runner": runner, "headway.method": method},
        )
        context = span.get_span_context()
        return span, SpanIds(context.trace_id, context.span_id)

    def batch_span(
        self,
        name: str,
        *,
        began_at: float,
        ended_at: float,
        attributes: Attributes,
        links: Sequence[SpanIds],
    ) -> None:
        """Record the span of a batch: a trace of its own, linked to its calls."""
        trace = self._sdk
        span = self._tracer.start_span(
            name,
            self._context.Context(),
            kind=trace.SpanKind.CONSUMER,
            attributes=attributes,
            links=[trace.Link(self._span_context(ids, None)) for ids in links],
            start_time=self._epoch_ns(began_at),
        )
        span.end(self._epoch_ns(ended_at))

    def end(self, span: Any, attributes: Attributes, error: str | None) -> None:
        """End a span now.

        Args:
            span: Of a request or a call.
            attributes: To add.
            error: Its type; None if there was none.
        """
        for key, value in attributes.items():
            span.set_attribute(key, value)
        if error is not None:
            span.set_attribute("error.type", error)
            span.set_status(self._sdk.StatusCode.ERROR)
        span.end()

    def enter(self, span: Any) -> Any:
        """Make a span the current one; return a token for `leave`."""
        return self._context.attach(self._sdk.set_span_in_context(span))

    def leave(self, token: Any) -> None:
        """Make the span before it the current one again."""
        self._context.detach(token)

    def _span_context(self, ids: SpanIds, states: Any) -> Any:
        trace = self._sdk
        sampled = trace.TraceFlags(trace.TraceFlags.SAMPLED)
        return trace.SpanContext(
            ids.trace_id,
            ids.span_id,
            is_remote=True,
            trace_flags=sampled,
            trace_state=states,
        )

    def _epoch_ns(self, at: float) -> int:
        return time.time_ns() - int((self._now() - at) * 1e9)
