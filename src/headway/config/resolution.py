"""Finds the values that hold, from defaults, file, code, environment and flags.

The commands and `headway.asgi_app` call `resolve` once; other code gets its
ResolvedConfig.
"""

import operator
import reprlib
from collections.abc import Callable, Mapping
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec

from headway.config.layers import (
    Given,
    Layer,
    code_layer,
    env_layer,
    file_layer,
    flag_layer,
)
from headway.config.schema import (
    GENERAL,
    HeadwayConfig,
    KeyPath,
    RunnerConfig,
    RunnerMethods,
    settings_with,
)
from headway.config.yaml_file import read_yaml
from headway.errors import ConfigError

_FILE_NAME = "headway.yaml"


class ResolvedConfig(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, with their sources."""

    config: HeadwayConfig = HeadwayConfig()
    """`config.runners` holds the general values; see `runner` for one runner's."""
    runners: dict[str, RunnerConfig] = {}
    """Settings of the runners that were declared or have a section of their own."""
    sources: dict[str, str] = {}
    """Dotted key to "default", "headway.yaml:7", "$VARIABLE", "--flag" or "code"."""
    file: str | None = None
    """The configuration file that was read."""

    def runner(self, name: str) -> RunnerConfig:
        """Return the settings of one runner, the general ones if it has no own."""
        return self.runners.get(name, self.config.runners)


def resolve(
    *,
    config_file: Path | None = None,
    service_dir: Path | None = None,
    environ: Mapping[str, str],
    flags: Mapping[str, object] | None = None,
    runner_options: Mapping[str, Mapping[str, object]] | None = None,
    runner_methods: RunnerMethods | None = None,
) -> ResolvedConfig:
    """Return the settings that hold, and the source of each.

    From low to high: default, the file's general values, values given in code, the
    file's `runners.NAME`, environment variables, flags.

    Args:
        config_file: The file named by `--config`; else $HEADWAY_CONFIG, else
            headway.yaml in `service_dir`, if it exists.
        service_dir: The service's folder.
        environ: The environment, `HEADWAY_API_SERVER__PORT=4000` style.
        flags: Dotted key to value or text, as in `{"api_server.port": "4000"}`; None
            values count as not given.
        runner_options: By runner, the values given in code: dotted key below
            `runners.NAME` to value, as in `{"iris": {"methods.predict.max_batch_size":
            32}}`; None values count as not given.
        runner_methods: The service's runners with their methods' names.

    Raises:
        ConfigError: If a key is unknown, a value has the wrong type or is absurd, the
            file cannot be read, or a runner's name is a key of `runners`.
    """
    known = settings_with(runner_methods or {})
    file = _choose_file(config_file, service_dir, environ)
    in_file = file_layer(file, read_yaml(file, environ), known) if file else {}
    in_code = code_layer(runner_options or {}, known)
    in_environ = env_layer(environ, known)
    in_flags = flag_layer(flags or {}, known)
    defaults = {path: Given(of.default, "default") for path, of in GENERAL.items()}
    values: Layer = {}
    for layer in (defaults, in_file, in_environ, in_flags):
        _lay(values, layer, ())
    config = _build(values, HeadwayConfig)
    _check(values, ("api_server",))
    _check(values, ("runners",))
    runners = {}
    for name in runner_methods or ():
        all_runners, own_section = ("runners",), ("runners", name)
        own: Layer = {}
        for layer, prefix in (
            (defaults, all_runners),
            (in_file, all_runners),
            (in_code, own_section),
            (in_file, own_section),
            (in_environ, all_runners),
            (in_environ, own_section),
            (in_flags, all_runners),
        ):
            _lay(own, layer, prefix)
        runners[name] = _build(own, RunnerConfig)
        values |= {(*own_section, *path): given for path, given in own.items()}
        _check(values, own_section)
    return ResolvedConfig(
        config=config,
        runners=runners,
        sources={".".join(path): given.source for path, given in values.items()},
        file=str(file) if file else None,
    )


def _choose_file(
    config_file: Path | None, service_dir: Path | None, environ: Mapping[str, str]
) -> Path | None:
    named = config_file or environ.get("HEADWAY_CONFIG")
    if named:
        path = Path(named)
        if path.is_file():
            return path
        by = "--config" if config_file is not None else "$HEADWAY_CONFIG"
        raise ConfigError(f"{by} names {path}, which is no file")
    if service_dir is None:
        return None
    path = service_dir / _FILE_NAME
    other = path.with_suffix(".yml")
    if not path.exists() and other.exists():
        raise ConfigError(
            f"{other} is not read: rename it to {_FILE_NAME} or name it with --config"
        )
    return path if path.exists() else None


def _lay(values: Layer, layer: Layer, prefix: KeyPath) -> None:
    """Put a layer over lower ones, by path below the prefix.

    The prefix is that of all settings, of `runners` or of one runner.
    """
    end = len(prefix)
    higher = {
        path[end:]: given
        for path, given in layer.items()
        if path[:end] == prefix and (path in GENERAL) == (end < 2)
    }
    # A setting of batching also replaces what lower layers gave for methods.
    for path in [path for path in values if path[0] == "methods"]:
        if ("batching", path[-1]) in higher:
            del values[path]
    values |= higher


def _build(values: Layer, struct: type[Any]) -> Any:
    tree: dict[str, Any] = {}
    for path, given in values.items():
        node = tree
        for key in path[:-1]:
            node = node.setdefault(key, {})
        node[path[-1]] = given.value
    return msgspec.convert(tree, struct)


def _check(values: Layer, section: KeyPath) -> None:
    """Refuse values of a section that contradict each other.

    A rule's last setting may be one that a method has a value of its own for.
    """
    for keys, holds, rule in _RULES:
        *others, last = [(*section, *key.split(".")) for key in keys]
        if last not in values:
            continue
        in_methods = [
            path
            for path, given in values.items()
            if (path[:-2], path[-1]) == ((*section, "methods"), last[-1])
            and given.value is not None
        ]
        for path in (last, *in_methods):
            found = {path: values[path] for path in (*others, path)}
            if not holds(*(given.value for given in found.values())):
                shown = ", ".join(
                    f"{'.'.join(path)} is {reprlib.repr(given.value)} ({given.source})"
                    for path, given in found.items()
                )
                raise ConfigError(f"{shown}: {rule}")


def _rise(bounds: tuple[float, ...]) -> bool:
    return isfinite(bounds[-1]) and all(a < b for a, b in pairwise(bounds))


def _has(first: object, second: object) -> bool:
    return first is None or second is not None


def _within(first: float | None, second: float) -> bool:
    return first is None or first <= second


_RULES: tuple[tuple[tuple[str, ...], Callable[..., bool], str], ...] = (
    (("metrics.duration_buckets_s",), _rise, "the bounds must rise and be finite"),
    (("ssl_keyfile", "ssl_certfile"), _has, "a key needs a certificate"),
    (("ssl_ca_certs", "ssl_certfile"), _has, "checking clients needs a certificate"),
    (
        ("restart.delay_s", "restart.max_delay_s"),
        _within,
        "the first delay must be within the longest",
    ),
    (
        ("batching.max_queue_rows", "batching.max_batch_size"),
        operator.ge,
        "a batch must fit in the queue",
    ),
    (
        ("batching.max_wait_ms", "batching.max_latency_ms"),
        _within,
        "the wait must be within the latency",
    ),
)
"""Settings of a section, what must hold between their values, and the message."""
