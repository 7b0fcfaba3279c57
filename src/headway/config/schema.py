"""Every setting: its name, type, default, bounds and, below it, what it means.

resolution fills these structs, and all other layers only read them. The structs as flat
settings, by path, are what the rest of this folder checks, merges and documents.
"""

import re
import types
import typing
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from headway.errors import ConfigError

Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Bytes = Annotated[int, Meta(ge=1, le=2**62)]
Seconds = Annotated[float, Meta(gt=0, le=31_536_000)]
Milliseconds = Annotated[float, Meta(gt=0, le=31_536_000_000)]
Bound = Annotated[float, Meta(gt=0)]
Text = Annotated[str, Meta(min_length=1)]
GpuIds = Annotated[list[Annotated[int, Meta(ge=0)] | Text], Meta(min_length=1)]

DURATION_BOUNDS_S = (
    *(0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05),
    *(0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0),
)


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all sections."""


class MetricsConfig(_Section, frozen=True):
    """The page `/metrics`."""

    enabled: bool = True
    """Serve `/metrics`."""
    duration_buckets_s: Annotated[
        tuple[Bound, ...], Meta(min_length=1, max_length=64)
    ] = DURATION_BOUNDS_S
    """Upper bounds in seconds, rising, of the buckets of the latency histograms: of
    requests, and of runners' queue wait and inference time."""


class RestartConfig(_Section, frozen=True):
    """Restarts of a process that died."""

    delay_s: Seconds = 0.1
    """Wait before the first restart; it doubles with each further one."""
    max_delay_s: Seconds = 30.0
    """Longest wait before a restart."""
    healthy_after_s: Seconds = 60.0
    """A process that lived this long is restarted after `delay_s` again."""


class LoggingConfig(_Section, frozen=True):
    """Log lines of all processes, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest severity that is written."""
    format: Literal["text", "json"] = "text"
    """`text`: lines for people. `json`: one JSON object per line."""
    access: bool = False
    """Log each request when it is answered: its ID, method, path, status, bytes of the
    response body, milliseconds. Status 499: the client hung up first. JSON has a key
    for each. Needs the level info or debug."""


class ApiServerConfig(_Section, frozen=True):
    """The API workers, which serve HTTP."""

    host: Text = "0.0.0.0"
    """Address to listen on."""
    port: Annotated[int, Meta(ge=0, le=65535, extra={"flags": ["-p", "--port"]})] = 3000
    """TCP port to listen on; 0 takes a free one."""
    workers: Annotated[
        Annotated[int, Meta(ge=1, le=1024)] | None,
        Meta(extra={"flags": ["--api-workers"]}),
    ] = None
    """API worker processes under `--production`; null: one per core."""
    backlog: Count = 2048
    """Connections that the kernel queues until a worker accepts them."""
    balance: bool = True
    """Move connections, between two requests, from a busy worker to a much less busy
    one; not with TLS. Otherwise each stays with the worker that accepted it."""
    timeout: Seconds | None = 60.0
    """Seconds until a request fails with 504 and its work is dropped. null: never."""
    max_concurrency: Count | None = None
    """Requests in progress over the whole server, of which each worker enforces its
    share; further ones are answered 429. null: no limit."""
    max_body_bytes: Bytes = 16 * 2**20
    """Largest request body; larger ones are answered 413."""
    max_header_bytes: Bytes = 65536
    """Largest request line and headers together; larger ones are answered 431."""
    keep_alive_timeout_s: Seconds = 75.0
    """Seconds until an idle connection is closed."""
    request_timeout_s: Seconds = 30.0
    """Seconds in which a request must arrive completely; else it is answered 408."""
    startup_timeout_s: Seconds = 60.0
    """Seconds in which a worker must be serving; else its start has failed."""
    shutdown_timeout_s: Seconds = 30.0
    """Seconds that requests in progress may take after SIGTERM or SIGINT."""
    threads: Count = 40
    """Threads of each worker for API functions that are not async."""
    ssl_certfile: Text | None = None
    """Certificate chain in PEM; makes the server speak HTTPS."""
    ssl_keyfile: Text | None = None
    """Private key of the certificate in PEM; null: it is in `ssl_certfile`."""
    ssl_keyfile_password: Annotated[Text | None, Meta(extra={"secret": True})] = None
    """Password of an encrypted private key; never shown."""
    ssl_ca_certs: Text | None = None
    """Certificates in PEM, one of which must have signed each client's certificate;
    null: clients need none."""
    live: bool = True
    """Serve the live page `/-/live`: charts of the last 15 minutes."""
    request_ids: bool = False
    """Give each request an ID: the client's `X-Request-Id` if that has at most 128
    letters, digits and `._:=+/@-`, otherwise a generated one. It is in the response's
    header, in errors and in log lines. `logging.access` implies it."""
    server_timing: bool = False
    """Add the header `Server-Timing` to responses: the duration of each stage and the
    rows of the batch. It shows clients the server's inside."""
    metrics: MetricsConfig = MetricsConfig()
    restart: RestartConfig = RestartConfig()


class BatchingConfig(_Section, frozen=True):
    """How rows of several requests are joined into one call of the model."""

    enabled: bool = True
    """Form batches; false: the model gets each call alone."""
    max_batch_size: Count = 100
    """Most rows in a batch. A larger request is split and joined again."""
    max_latency_ms: Milliseconds = 60_000.0
    """Longest time that a call may spend in the runner, waiting and computing. Calls
    that cannot keep it are refused with 503 at once."""
    max_wait_ms: Annotated[float, Meta(ge=0, le=60_000)] | None = None
    """Longest time that calls wait for more calls while a replica is idle. null: the
    scheduler learns when waiting pays; 0: never."""
    max_queue_rows: Count = 100_000
    """Most rows that wait in a runner. Beyond that the least urgent calls, or else the
    new ones, are refused with 503."""
    max_queue_bytes: Bytes = 2**30
    """Most bytes of rows that wait in a runner, with the same refusals; also the most
    that one API worker may have in flight to it."""


class MethodConfig(_Section, frozen=True):
    """Settings of one method of a runner; null: as in `batching`."""

    max_batch_size: Count | None = None
    """`batching.max_batch_size` of this method."""
    max_latency_ms: Milliseconds | None = None
    """`batching.max_latency_ms` of this method."""


class ResourcesConfig(_Section, frozen=True):
    """The share of the machine that a runner's replicas have together."""

    cpu: Annotated[float, Meta(gt=0, le=65536)] | None = None
    """Cores: one replica with this many threads or, for a model that uses one thread
    only, this many replicas. null: half of the machine's cores, one replica."""
    gpu: Annotated[int, Meta(ge=0, le=4096)] | GpuIds | None = msgspec.field(
        default=None, name="nvidia.com/gpu"
    )
    """GPUs, as a count or a list of ids; each replica sees its own through
    CUDA_VISIBLE_DEVICES. null: none."""


class RunnerConfig(_Section, frozen=True):
    """One runner; values directly under `runners` hold for every runner."""

    batching: BatchingConfig = BatchingConfig()
    resources: ResourcesConfig = ResourcesConfig()
    workers_per_resource: Annotated[float, Meta(gt=0, le=1024)] = 1.0
    """Replicas per GPU. Without GPUs: per core if the model uses one thread only, else
    for the runner's whole share of the cores."""
    timeout: Seconds | None = 60.0
    """Seconds until a call of this runner fails; the request's own deadline holds too.
    null: only the request's."""
    shared_memory_bytes: Annotated[int, Meta(ge=0, le=2**40)] = 64 * 2**20
    """Shared memory for large arrays: the size for each direction of each connection
    between an API worker and the runner, or the runner and a replica. Only used pages
    take memory. Frames that do not fit go through the socket. 0: all do."""
    shared_memory_from_bytes: Bytes = 128 * 1024
    """Smallest frame for the shared memory; the socket is faster for smaller ones."""
    startup_timeout_s: Seconds = 300.0
    """Seconds in which the model must be loaded and warm; else its start has failed."""
    restart: RestartConfig = RestartConfig()
    methods: dict[str, MethodConfig] = {}
    """Settings of single methods, by the method's name."""

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
    """Traces by OpenTelemetry; needs the extra `otel`.

    OpenTelemetry's own variables hold as well: `OTEL_SERVICE_NAME`,
    `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_EXPORTER_OTLP_*`, `OTEL_BSP_*`, and
    `OTEL_SDK_DISABLED=true` switches tracing off.
    """

    enabled: bool = False
    """Make spans of requests, of their runner calls, and of batches; batches are linked
    to the calls in them."""
    otlp_endpoint: Text | None = None
    """Address of the OTLP/HTTP collector, without `/v1/traces`. null: as the variables
    say, else `http://localhost:4318`."""
    sample_ratio: Annotated[float, Meta(ge=0, le=1)] | None = None
    """Share of the requests that is traced. A request's `traceparent` overrides it.
    null: as `OTEL_TRACES_SAMPLER` says, else all."""


class HeadwayConfig(_Section, frozen=True):
    """The whole configuration."""

    api_server: ApiServerConfig = ApiServerConfig()
    logging: LoggingConfig = LoggingConfig()
    tracing: TracingConfig = TracingConfig()
    runners: RunnerConfig = RunnerConfig()


KeyPath = tuple[str, ...]

RunnerMethods = Mapping[str, Collection[str]]
"""A service's runners, with the names of their methods."""


class Setting(msgspec.Struct, frozen=True):
    """One leaf of the schema."""

    path: KeyPath
    """Its keys in the file, from the top."""
    value_type: Any
    default: Any
    doc: tuple[str, str]
    """The names of the struct that declares it and of the field, for `field_docs`."""

    @property
    def key(self) -> str:
        """The path with dots."""
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        word = "__".join(self.path)
        return "HEADWAY_" + re.sub("[^A-Za-z0-9_]", "_", word).upper()

    @property
    def flags(self) -> tuple[str, ...]:
        """The command-line flags that set it; the last is the long one."""
        default = ("--" + self.path[-1].replace("_", "-"),)
        return tuple(self._extra("flags") or default)

    @property
    def is_secret(self) -> bool:
        """Whether its value must not be shown."""
        return bool(self._extra("secret"))

    def _extra(self, name: str) -> Any:
        metas = getattr(self.value_type, "__metadata__", ())
        return next((meta.extra.get(name) for meta in metas if meta.extra), None)


def settings_of(
    section: type[msgspec.Struct], prefix: KeyPath = ()
) -> Iterator[Setting]:
    """Yield the settings of a section and of its sections, in their order.

    Fields that are dicts are left out: their keys are the user's names.
    """
    for field in msgspec.structs.fields(section):
        path = (*prefix, field.encode_name)
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from settings_of(field.type, path)
        elif typing.get_origin(field.type) is not dict:
            doc = (section.__name__, field.name)
            yield Setting(path, field.type, field.default, doc)


def type_name(type_: Any) -> str:
    """Return one word for a type, leaving out that it may be null."""
    origin, args = typing.get_origin(type_), typing.get_args(type_)
    if origin in (typing.Annotated, typing.Union, types.UnionType):
        return type_name(args[0])
    names = {bool: "BOOLEAN", int: "INTEGER", float: "NUMBER", tuple: "LIST"}
    return names.get(origin or type_, "TEXT")


GENERAL = {setting.path: setting for setting in settings_of(HeadwayConfig)}
"""All settings except those of single runners."""
RESERVED_NAMES = frozenset(RunnerConfig.__struct_encode_fields__)
"""Keys of `runners`, which no runner may have as its name."""


def settings_with(runners: RunnerMethods) -> dict[KeyPath, Setting]:
    """Return all settings of a service, by path.

    Raises:
        ConfigError: If a runner's name is a key of `runners`.
    """
    settings = dict(GENERAL)
    for runner, methods in runners.items():
        if runner in RESERVED_NAMES:
            raise ConfigError(
                f"runner name {runner!r} is a key of the configuration's `runners`; "
                "give the runner another with `to_runner(name=...)`"
            )
        base = ("runners", runner)
        own = [*settings_of(RunnerConfig, base)]
        for method in methods:
            own += settings_of(MethodConfig, (*base, "methods", method))
        settings.update((setting.path, setting) for setting in own)
    return settings
