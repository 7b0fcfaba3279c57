"""One source's settings, each checked: what code, environment and flags give.

resolve lays the layers over one another; file_layer makes the one of the file.
"""

import reprlib
import typing
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from headway.config.settings import (
    GENERAL,
    METHOD,
    RUNNER,
    KeyPath,
    Setting,
    is_text,
    variable_word,
)
from headway.config.suggest import nearest, suggest_key
from headway.config.yaml_file import parse_text
from headway.errors import ConfigError

__all__ = [
    "Given",
    "Layer",
    "RunnerMethods",
    "checked",
    "code_layer",
    "env_layer",
    "flag_layer",
]

RunnerMethods = Mapping[str, Collection[str]]
"""A service's runners, with the names of their methods."""

_PREFIX = "HEADWAY_"
_RUNNERS = "RUNNERS__"


class Given(msgspec.Struct, frozen=True):
    """A value and its source."""

    value: Any
    source: str


class Layer(msgspec.Struct, frozen=True):
    """What one source gives, by path."""

    general: dict[KeyPath, Given] = {}
    runners: dict[str, dict[KeyPath, Given]] = {}
    """By runner, the paths below its name."""


def checked(setting: Setting, value: Any, *, what: str) -> Any:
    """Return the value in the setting's type.

    Args:
        setting: What it is for.
        value: As the source gave it.
        what: Source and key, to begin a message with.

    Raises:
        ConfigError: If it has another type or is out of bounds.
    """
    try:
        return msgspec.convert(value, setting.value_type)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at ")
        place = place.strip("`").removeprefix("$")
        if typing.get_origin(setting.value_type) is typing.Literal:
            reason = f"expected {' or '.join(typing.get_args(setting.value_type))}"
        raise ConfigError(
            f"{what}{place} is {reprlib.repr(value)}: {reason[:1].lower()}{reason[1:]}"
        ) from error


def _checked_text(setting: Setting, text: str, *, what: str) -> Any:
    """Return a value given as text in the setting's type."""
    parsed = parse_text(text)
    if is_text(setting.value_type) and parsed is not None:
        parsed = text
    return checked(setting, parsed, what=what)


def code_layer(options: Mapping[str, Mapping[str, object]]) -> Layer:
    """Return what `to_runner(...)` was given, by runner and dotted key.

    Raises:
        ConfigError: If a value has the wrong type or is out of bounds.
    """
    by_key = {setting.key: setting for setting in RUNNER.values()}
    layer = Layer()
    for runner, given in options.items():
        values = layer.runners.setdefault(runner, {})
        for key, value in given.items():
            if value is None:
                continue
            path: KeyPath
            if key in by_key:
                setting = by_key[key]
                path = setting.path
            else:
                path = tuple(key.split(".", 2))
                if path[0] != "methods" or path[2:] not in METHOD:
                    raise ConfigError(f"runner {runner!r}: no setting is called {key}")
                setting = METHOD[path[2:]]
            what = f"to_runner() of runner {runner!r}: {key}"
            values[path] = Given(checked(setting, value, what=what), "code")
    return layer


def flag_layer(flags: Mapping[str, object]) -> Layer:
    """Return what the command line gave, by dotted key; text counts as YAML.

    Raises:
        ConfigError: If a key is unknown, or a value of the wrong type or absurd.
    """
    by_key = {setting.key: setting for setting in GENERAL.values()}
    layer = Layer()
    for key, value in flags.items():
        if value is None:
            continue
        if key not in by_key:
            hint = suggest_key(tuple(key.split(".")), value, GENERAL)
            raise ConfigError(f"flag for {key}: no such setting; {hint}")
        setting = by_key[key]
        if isinstance(value, str):
            value = _checked_text(setting, value, what=setting.flag)
        else:
            value = checked(setting, value, what=setting.flag)
        layer.general[setting.path] = Given(value, setting.flag)
    return layer


def env_layer(
    environ: Mapping[str, str], runners: RunnerMethods, *, all_known: bool
) -> Layer:
    """Return what variables such as `HEADWAY_API_SERVER__PORT` give.

    Only names with a double underscore count, as others may be somebody else's:
    Kubernetes sets HEADWAY_API_SERVER_PORT for a service called headway-api-server.
    Empty variables count as not set.

    Args:
        environ: The environment.
        runners: The service's runners.
        all_known: Whether a variable of another runner is an error.

    Raises:
        ConfigError: If a key is unknown, or a value of the wrong type or absurd.
    """
    layer = Layer()
    general = {setting.variable: setting for setting in GENERAL.values()}
    for name in sorted(environ):
        word, text = name.removeprefix(_PREFIX), environ[name]
        if not name.startswith(_PREFIX) or "__" not in word or not text:
            continue
        if word in general:
            setting = general[word]
            value = _checked_text(setting, text, what="$" + name)
            layer.general[setting.path] = Given(value, "$" + name)
            continue
        found = False
        for runner, path, setting in _runner_targets(word, runners):
            value = _checked_text(setting, text, what="$" + name)
            layer.runners.setdefault(runner, {})[path] = Given(value, "$" + name)
            found = True
        if not found and (all_known or not word.startswith(_RUNNERS)):
            raise _unknown_variable(name, word, general, runners)
    return layer


def _runner_targets(
    word: str, runners: RunnerMethods
) -> list[tuple[str, KeyPath, Setting]]:
    """Return the settings that a variable names: runner, path below it, setting.

    Several, if names of runners or methods differ only by - and _.
    """
    targets = []
    for runner, methods in runners.items():
        start = f"{_RUNNERS}{variable_word(runner)}__"
        if not word.startswith(start):
            continue
        rest = word.removeprefix(start)
        targets += [
            (runner, path, setting)
            for path, setting in RUNNER.items()
            if setting.variable == rest
        ]
        targets += [
            (runner, ("methods", method, *path), setting)
            for method in methods
            for path, setting in METHOD.items()
            if f"METHODS__{variable_word(method)}__{setting.variable}" == rest
        ]
    return targets


def _unknown_variable(
    name: str, word: str, general: Collection[str], runners: RunnerMethods
) -> ConfigError:
    own = [
        f"{_RUNNERS}{variable_word(runner)}__{setting.variable}"
        for runner in runners
        for setting in RUNNER.values()
    ]
    near = nearest(word, [*general, *own])
    page = "see docs/reference/configuration.md"
    hint = f"did you mean ${_PREFIX}{near}?" if near else page
    return ConfigError(f"${name}: no such setting; {hint}")
