"""Resolves the configuration from defaults, file, code, environment and flags.

The CLI calls `resolve` once; everything else gets the ResolvedConfig.
"""

import reprlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from headway.config.checks import Fault, api_server_faults, runner_faults
from headway.config.file_layer import RESERVED_NAMES, file_layer
from headway.config.layers import (
    Given,
    Layer,
    RunnerMethods,
    code_layer,
    env_layer,
    flag_layer,
)
from headway.config.resolved import ResolvedConfig
from headway.config.schema import HeadwayConfig, RunnerConfig
from headway.config.settings import GENERAL, RUNNER, KeyPath, Setting
from headway.errors import ConfigError

__all__ = ["resolve"]

_FILE_NAME = "headway.yaml"
_Values = dict[KeyPath, Given]


def resolve(
    *,
    config_file: Path | None = None,
    service_dir: Path | None = None,
    environ: Mapping[str, str],
    flags: Mapping[str, object] | None = None,
    runner_options: Mapping[str, Mapping[str, object]] | None = None,
    runner_methods: RunnerMethods | None = None,
) -> ResolvedConfig:
    """Return the settings that hold, and where each came from.

    From low to high: default, the file's general values, values given in code, the
    file's `runners.NAME`, environment variables, flags.

    Args:
        config_file: The file named by `--config`; else $HEADWAY_CONFIG, else
            headway.yaml in `service_dir`, if it is there.
        service_dir: Where the service lives.
        environ: The environment, `HEADWAY_API_SERVER__PORT=4000` style.
        flags: Dotted key to value or text, as in `{"api_server.port": "4000"}`; None
            values count as not given.
        runner_options: By runner, what code gave: dotted key below `runners.NAME` to
            value, as in `{"iris": {"methods.predict.max_batch_size": 32}}`; None
            values count as not given.
        runner_methods: The service's runners with their methods' names; None if they
            are not known, and then names in the file are not checked.

    Raises:
        ConfigError: If a key is unknown, a value of the wrong type or absurd, the
            file cannot be read, or a runner's name is a key of `runners`.
    """
    _refuse_reserved(runner_methods or {})
    file = _choose_file(config_file, service_dir, environ)
    in_file = file_layer(file, environ, runner_methods) if file else Layer()
    in_code = code_layer(runner_options or {})
    names = {
        **dict.fromkeys(in_file.runners, ()),
        **dict.fromkeys(in_code.runners, ()),
        **(runner_methods or {}),
    }
    in_environ = env_layer(environ, names, all_known=runner_methods is not None)
    in_flags = flag_layer(flags or {})
    layers = _Layers(in_file, in_code, in_environ, in_flags)
    values = layers.general_values()
    config = _build(values, HeadwayConfig)
    _refuse_faults(api_server_faults(config.api_server), values, ("api_server",))
    _refuse_faults(runner_faults(config.runners), values, ("runners",))
    runners = {}
    for name in names:
        own = layers.runner_values(name)
        runners[name] = _build(own, RunnerConfig)
        prefix = ("runners", name)
        shown = {(*prefix, *path): given for path, given in own.items()}
        _refuse_faults(runner_faults(runners[name]), shown, prefix)
        values |= shown
    return ResolvedConfig(
        config=config,
        runners=runners,
        sources={".".join(path): given.source for path, given in values.items()},
        file=str(file) if file else None,
    )


class _Layers(msgspec.Struct, frozen=True):
    """What each source gives, and which is over which."""

    file: Layer
    code: Layer
    environ: Layer
    flags: Layer

    def general_values(self) -> _Values:
        """Return the values that hold for all runners, and those of the server."""
        values = _defaults(GENERAL)
        for layer in (self.file, self.environ, self.flags):
            values |= layer.general
        return values

    def runner_values(self, name: str) -> _Values:
        """Return the values of one runner, by path below its name."""
        values = _defaults(RUNNER)
        for higher in (
            _below_runners(self.file),
            self.code.runners.get(name, {}),
            self.file.runners.get(name, {}),
            _below_runners(self.environ),
            self.environ.runners.get(name, {}),
            _below_runners(self.flags),
        ):
            _lay(values, higher)
        return values


def _choose_file(
    config_file: Path | None, service_dir: Path | None, environ: Mapping[str, str]
) -> Path | None:
    named = environ.get("HEADWAY_CONFIG")
    if config_file is not None or named:
        path = config_file or Path(str(named))
        if not path.is_file():
            by = "--config" if config_file is not None else "$HEADWAY_CONFIG"
            raise ConfigError(f"{by} names {path}, which is no file")
        return path
    if service_dir is None:
        return None
    path = service_dir / _FILE_NAME
    if path.exists():
        return path
    other = path.with_suffix(".yml")
    if other.exists():
        raise ConfigError(
            f"{other} is not read: rename it to {_FILE_NAME} or name it with --config"
        )
    return None


def _refuse_reserved(names: Iterable[str]) -> None:
    for name in names:
        if name in RESERVED_NAMES:
            raise ConfigError(
                f"runner name {name!r} is a key of the configuration's `runners`; "
                "give the runner another with `to_runner(name=...)`"
            )


def _defaults(table: Mapping[KeyPath, Setting]) -> _Values:
    return {path: Given(setting.default, "default") for path, setting in table.items()}


def _below_runners(layer: Layer) -> _Values:
    """Return the general values of `runners`, by path below it."""
    return {
        path[1:]: given for path, given in layer.general.items() if path[0] == "runners"
    }


def _lay(values: _Values, higher: Mapping[KeyPath, Given]) -> None:
    """Put the values of a higher layer of one runner over those of lower ones.

    What it says of batching in general holds also for methods of which lower layers
    said something.
    """
    for path in [path for path in values if path[0] == "methods"]:
        if ("batching", path[-1]) in higher:
            del values[path]
    values.update(higher)


def _build(values: _Values, struct: type[Any]) -> Any:
    tree: dict[str, Any] = {}
    for path, given in values.items():
        node = tree
        for key in path[:-1]:
            node = node.setdefault(key, {})
        node[path[-1]] = given.value
    return msgspec.convert(tree, struct)


def _refuse_faults(faults: Iterable[Fault], values: _Values, prefix: KeyPath) -> None:
    for keys, rule in faults:
        shown = []
        for key in keys:
            path = (*prefix, *key.split("."))
            given = values[path]
            shown.append(
                f"{'.'.join(path)} is {reprlib.repr(given.value)} ({given.source})"
            )
        raise ConfigError(f"{', '.join(shown)}: {rule}")
