"""The SDK of OpenTelemetry in one process: makes spans, and exports them by OTLP.

observability/telemetry and runner/batch_spans make spans with it. Only this module
imports the SDK, which needs the extra `otel`.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from headway.config.schema import TracingConfig
from headway.core.clock import Clock
from headway.core.version import __version__
from headway.errors import MissingExtraError
from headway.observability.trace_context import SpanIds

__all__ = ["Tracing"]

_log = logging.getLogger(__name__)
_FLUSH_S = 3.0
"""For what is left at the end; a runner's process has 5 s to end."""
_TRACES_PATH = "/v1/traces"

Attributes = Mapping[str, str | int | float | bool]


class Tracing:
    """Spans of one process, all of which are recorded: who asks has sampled before.

    Args:
        config: Where to send them.
        service: The service's name, if no variable of OpenTelemetry gives another.
        process: The process's name.
        clock: What times of spans are given in.
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
            # For spans of the user's functions: within ours, and nowhere else.
            trace.set_tracer_provider(
                provide(sampling.ParentBased(root=sampling.ALWAYS_OFF))
            )

    async def aclose(self) -> None:
        """Export what is left; give up on a collector that does not take it."""
        if self._processor is None:
            return
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._processor.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop did not wait for it
                loop.call_soon_threadsafe(done.set)

        # Not a thread of the loop's own, for which the process would wait.
        threading.Thread(target=shut_down, name="headway-otel", daemon=True).start()
        try:
            async with asyncio.timeout(_FLUSH_S):
                await done.wait()
        except TimeoutError:
            _log.warning("the last spans were not exported within %g s", _FLUSH_S)

    def server_span(
        self,
        name: str,
        *,
        parent: SpanIds | None,
        state: str | None,
        began_at: float,
        attributes: Attributes,
    ) -> Any:
        """Begin the span of a request.

        Args:
            name: Of the span.
            parent: The caller's span; None if there is none.
            state: The caller's `tracestate`.
            began_at: Monotonic seconds.
            attributes: Of the span.
        """
        trace = self._sdk
        # An empty context, as this may run in one with a span of another request.
        context = self._context.Context()
        if parent is not None:
            states = trace.TraceState.from_header([state]) if state else None
            span = trace.NonRecordingSpan(self._span_context(parent, states))
            context = trace.set_span_in_context(span, context)
        return self._tracer.start_span(
            name,
            context,
            kind=trace.SpanKind.SERVER,
            attributes=attributes,
            start_time=self._epoch_ns(began_at),
        )

    def client_span(self, name: str, attributes: Attributes) -> Any:
        """Begin the span of a call, within that of the function that makes it."""
        kind = self._sdk.SpanKind.CLIENT
        return self._tracer.start_span(name, kind=kind, attributes=attributes)

    def batch_span(
        self,
        name: str,
        *,
        began_at: float,
        ended_at: float,
        attributes: Attributes,
        links: Sequence[SpanIds],
    ) -> None:
        """Make the span of a batch: a trace of its own, linked to its calls'."""
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
            attributes: What is known by now.
            error: What went wrong; None if nothing did.
        """
        for key, value in attributes.items():
            span.set_attribute(key, value)
        if error is not None:
            span.set_attribute("error.type", error)
            span.set_status(self._sdk.StatusCode.ERROR)
        span.end()

    def ids_of(self, span: Any) -> SpanIds:
        """Return what names a span."""
        context = span.get_span_context()
        return SpanIds(context.trace_id, context.span_id)

    def enter(self, span: Any) -> Any:
        """Make a span the current one; return what `leave` takes."""
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
