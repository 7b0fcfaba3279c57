"""Every setting: its name, type, default, bounds and, below it, what it means.

resolve fills these structs; document and flags turn them into
docs/reference/configuration.md and the flags of `headway serve`; all other layers only
read them.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = [
    "ApiServerConfig",
    "BatchingConfig",
    "HeadwayConfig",
    "LoggingConfig",
    "MethodConfig",
    "MetricsConfig",
    "ResourcesConfig",
    "RestartConfig",
    "RunnerConfig",
    "TracingConfig",
]

Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Bytes = Annotated[int, Meta(ge=1, le=2**62)]
Seconds = Annotated[float, Meta(gt=0, le=31_536_000)]
Milliseconds = Annotated[float, Meta(gt=0, le=31_536_000_000)]
Bound = Annotated[float, Meta(gt=0)]
Text = Annotated[str, Meta(min_length=1)]
GpuIds = Annotated[list[Annotated[int, Meta(ge=0)] | Text], Meta(min_length=1)]

_DURATION_BOUNDS = (
    *(0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05),
    *(0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0),
)


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all sections have in common."""


class MetricsConfig(_Section, frozen=True):
    """What `/metrics` offers."""

    enabled: bool = True
    """Whether `/metrics` is served."""
    duration_buckets_s: Annotated[
        tuple[Bound, ...], Meta(min_length=1, max_length=64)
    ] = _DURATION_BOUNDS
    """Upper bounds, in rising order, of the latency histograms' buckets; they apply
    to requests and to runners' queue wait and inference time. Seconds."""


class RestartConfig(_Section, frozen=True):
    """When a process that died is started again."""

    delay_s: Seconds = 0.1
    """Wait before the first restart; it doubles with each one that follows."""
    max_delay_s: Seconds = 30.0
    """The longest wait before a restart."""
    healthy_after_s: Seconds = 60.0
    """A process that has lived so long is restarted after `delay_s` again."""


class LoggingConfig(_Section, frozen=True):
    """What the processes write to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is written."""
    format: Literal["text", "json"] = "text"
    """`text`: a line for the eye. `json`: one JSON object a line."""
    access: bool = False
    """Whether each request is logged once it is answered: its name, method, path,
    status, bytes of the answer's body, milliseconds. Status 499: the client hung up
    before. JSON has a key for each. The level has to be info or debug."""


class ApiServerConfig(_Section, frozen=True):
    """The web workers."""

    host: Text = "0.0.0.0"
    """Address to listen on."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 3000
    """TCP port to listen on; 0 takes a free one."""
    workers: Annotated[
        Annotated[int, Meta(ge=1, le=1024)] | None,
        Meta(extra={"flag": "--api-workers"}),
    ] = None
    """Web worker processes under `--production`; null: as many as there are cores."""
    backlog: Count = 2048
    """Connections that the kernel holds for each worker until it accepts them."""
    balance: bool = True
    """Whether a worker that is much busier than another moves connections to it,
    between two requests; not with TLS. Else each stays where the kernel put it."""
    timeout: Seconds | None = 60.0
    """Seconds past which a request has failed: it is answered 504 and its work is
    dropped. null: never."""
    max_concurrency: Count | None = None
    """Requests in progress over the whole server, each worker enforcing its share;
    one more is answered 429. null: no limit."""
    max_body_bytes: Bytes = 16 * 2**20
    """Largest request body; a larger one is answered 413."""
    max_header_bytes: Bytes = 65536
    """Largest request line and headers together; more is answered 431."""
    keep_alive_timeout_s: Seconds = 75.0
    """A connection on which nothing was asked for so long is closed."""
    request_timeout_s: Seconds = 30.0
    """A request whose bytes took longer to come is answered 408."""
    startup_timeout_s: Seconds = 60.0
    """A worker that is not serving after so long has failed to start."""
    shutdown_timeout_s: Seconds = 30.0
    """Time that requests in progress have to finish after SIGTERM or SIGINT."""
    threads: Count = 40
    """Threads of each worker in which API functions that are not async run."""
    ssl_certfile: Text | None = None
    """Certificate chain in PEM; with it the server speaks HTTPS."""
    ssl_keyfile: Text | None = None
    """Private key of the certificate in PEM; null: it is in `ssl_certfile`."""
    ssl_keyfile_password: Annotated[Text | None, Meta(extra={"secret": True})] = None
    """Of the private key, if it is encrypted; never shown."""
    ssl_ca_certs: Text | None = None
    """Certificates in PEM, one of which must have signed each client's own; null:
    clients need none."""
    live: bool = True
    """Whether the live page `/-/live` is served: what the server did in the last 15
    minutes, in charts."""
    request_ids: bool = False
    """Whether each request has a name: its header `X-Request-Id` if that has at most
    128 letters, digits and `._:=+/@-`, else one that is made. It is in the answer's
    header, in errors and in the log. With `logging.access` each request has one."""
    server_timing: bool = False
    """Whether answers have the header `Server-Timing`: how long each stage of the
    request took and how many rows its batch had. It tells clients about the inside."""
    metrics: MetricsConfig = MetricsConfig()
    restart: RestartConfig = RestartConfig()


class BatchingConfig(_Section, frozen=True):
    """How the rows of several requests are joined in one call of the model."""

    enabled: bool = True
    """Whether batches are formed at all; false: the model sees each call alone."""
    max_batch_size: Count = 100
    """Rows in a batch at the most. A larger request is split and joined again."""
    max_latency_ms: Milliseconds = 60_000.0
    """Time that a call may spend in the runner, waiting and computing. One that
    cannot keep it is refused with 503 at once."""
    max_wait_ms: Annotated[float, Meta(ge=0, le=60_000)] | None = None
    """Longest time that calls wait for company while a replica is idle. null: the
    scheduler learns when waiting pays; 0: never."""
    max_queue_rows: Count = 100_000
    """Rows that may wait in a runner. Beyond that the least urgent calls, or else the
    new ones, are refused with 503."""
    max_queue_bytes: Bytes = 2**30
    """Bytes of rows that may wait in a runner, refused beyond that as rows are; also
    those that one API worker may have in flight to it."""


class MethodConfig(_Section, frozen=True):
    """What may differ between a runner's methods; null: as in `batching`."""

    max_batch_size: Count | None = None
    """`batching.max_batch_size` of this method."""
    max_latency_ms: Milliseconds | None = None
    """`batching.max_latency_ms` of this method."""


class ResourcesConfig(_Section, frozen=True):
    """What a runner's replicas share among them."""

    cpu: Annotated[float, Meta(gt=0, le=65536)] | None = None
    """Cores: given as threads to one replica or, for a model that uses one thread
    only, as so many replicas. null: half of the machine's, one replica."""
    gpu: Annotated[int, Meta(ge=0, le=4096)] | GpuIds | None = msgspec.field(
        default=None, name="nvidia.com/gpu"
    )
    """GPUs as a count or a list of ids; each replica sees its own through
    CUDA_VISIBLE_DEVICES. null: none."""


class RunnerConfig(_Section, frozen=True):
    """One runner; the values under `runners` itself hold for every runner."""

    batching: BatchingConfig = BatchingConfig()
    resources: ResourcesConfig = ResourcesConfig()
    workers_per_resource: Annotated[float, Meta(gt=0, le=1024)] = 1.0
    """Replicas for each GPU. Without GPUs: for each core if the model uses one thread
    only, else for the runner's whole share of the cores."""
    timeout: Seconds | None = 60.0
    """Seconds past which a call of this runner has failed; the request's own
    deadline holds too. null: only the request's."""
    shared_memory_bytes: Annotated[int, Meta(ge=0, le=2**40)] = 64 * 2**20
    """Memory in which each web worker and the runner, and the runner and each replica,
    lay large arrays down for one another: so much for each direction, of which only
    what was used is taken from the machine. What finds no room goes through the socket.
    0: everything does."""
    shared_memory_from_bytes: Bytes = 128 * 1024
    """What is sent at once goes through the shared memory from this size on; less
    would cost more there."""
    startup_timeout_s: Seconds = 300.0
    """A runner whose model is not loaded and warm after so long has failed."""
    restart: RestartConfig = RestartConfig()
    methods: dict[str, MethodConfig] = {}
    """Settings of single methods by the method's name."""

    def batching_of(self, method: str) -> BatchingConfig:
        """Return the batching settings that hold for one method."""
        own = self.methods.get(method)
        if own is None:
            return self.batching
        given = {
            name: value
            for name, value in msgspec.structs.asdict(own).items()
            if value is not None
        }
        return msgspec.structs.replace(self.batching, **given)


class TracingConfig(_Section, frozen=True):
    """Traces by OpenTelemetry; they need the extra `otel`.

    Its own variables hold as well: `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`,
    `OTEL_EXPORTER_OTLP_*`, `OTEL_BSP_*`, and `OTEL_SDK_DISABLED=true` switches it off.
    """

    enabled: bool = False
    """Whether spans are made: of requests to APIs, of their calls of runners, and of
    batches, which are linked to the calls that they are of."""
    otlp_endpoint: Text | None = None
    """Address of the collector that takes OTLP over HTTP, without `/v1/traces`. null:
    as the variables say, else `http://localhost:4318`."""
    sample_ratio: Annotated[float, Meta(ge=0, le=1)] | None = None
    """Share of the requests that are traced. Where a request has a `traceparent`, its
    caller has decided. null: as `OTEL_TRACES_SAMPLER` says, else all."""


class HeadwayConfig(_Section, frozen=True):
    """The whole configuration."""

    api_server: ApiServerConfig = ApiServerConfig()
    runners: RunnerConfig = RunnerConfig()
    logging: LoggingConfig = LoggingConfig()
    tracing: TracingConfig = TracingConfig()
