"""The settings that one source gives, each checked: file, code, environment, flags.

resolution lays the layers over one another.
"""

import re
import reprlib
import typing
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from headway.config.schema import (
    GENERAL,
    RESERVED_NAMES,
    KeyPath,
    Setting,
    type_name,
)
from headway.config.yaml_file import Entry, parse_text
from headway.errors import ConfigError

_Settings = Mapping[KeyPath, Setting]
_PREFIX = "HEADWAY_"
_SEE = "see docs/reference/configuration.md"


class Given(msgspec.Struct, frozen=True):
    """A value and its source."""

    value: Any
    source: str


Layer = dict[KeyPath, Given]


def _given(
    setting: Setting, value: Any, source: str, *, what: str | None = None
) -> Given:
    """Return a value in the setting's type.

    Args:
        setting: The setting that the value is for.
        value: As the source gave it.
        source: Names the source.
        what: Begins an error message; None: the source.

    Raises:
        ConfigError: If it has another type or is out of bounds.
    """
    try:
        return Given(msgspec.convert(value, setting.value_type), source)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at ")
        where = f"{what or source}{place.strip('`').removeprefix('$')}"
        if typing.get_origin(setting.value_type) is typing.Literal:
            reason = f"expected {' or '.join(typing.get_args(setting.value_type))}"
        raise ConfigError(
            f"{where} is {reprlib.repr(value)}: {reason[:1].lower()}{reason[1:]}"
        ) from error


def _from_text(setting: Setting, value: object, source: str) -> Given:
    """Return a value that, if it is text, counts as YAML."""
    if isinstance(value, str):
        parsed = parse_text(value)
        if type_name(setting.value_type) != "TEXT" or parsed is None:
            value = parsed
    return _given(setting, value, source)


def code_layer(
    options: Mapping[str, Mapping[str, object]], settings: _Settings
) -> Layer:
    """Return the arguments of `to_runner(...)`; None values count as not given.

    Raises:
        ConfigError: If a key is unknown or a value is wrong.
    """
    by_key = {setting.key: setting for setting in settings.values()}
    layer: Layer = {}
    for runner, arguments in options.items():
        for key, value in arguments.items():
            setting = by_key.get(f"runners.{runner}.{key}")
            if setting is None:
                raise ConfigError(f"runner {runner!r}: no setting is called {key}")
            what = f"to_runner() of runner {runner!r}: {key}"
            if value is not None:
                layer[setting.path] = _given(setting, value, "code", what=what)
    return layer


def flag_layer(flags: Mapping[str, object], settings: _Settings) -> Layer:
    """Return the settings of the command line, whose texts count as YAML.

    Raises:
        ConfigError: If a key is unknown or a value is wrong.
    """
    by_key = {setting.key: setting for setting in settings.values()}
    layer: Layer = {}
    for key, value in flags.items():
        if value is None:
            continue
        if key not in by_key:
            hint = _suggest_key(tuple(key.split(".")), value, GENERAL)
            raise ConfigError(f"flag for {key}: no such setting; {hint}")
        setting = by_key[key]
        layer[setting.path] = _from_text(setting, value, setting.flags[-1])
    return layer


def env_layer(environ: Mapping[str, str], settings: _Settings) -> Layer:
    """Return the settings of variables like `HEADWAY_API_SERVER__PORT`.

    Only names with a double underscore count, as other products may use the rest:
    Kubernetes sets HEADWAY_API_SERVER_PORT for a service called headway-api-server.
    Empty variables count as not set. A variable sets several settings if the names of
    runners or methods differ only in - and _.

    Raises:
        ConfigError: If a key is unknown or a value is wrong.
    """
    layer: Layer = {}
    by_variable: dict[str, list[Setting]] = {}
    for setting in settings.values():
        by_variable.setdefault(setting.variable, []).append(setting)
    for name, text in sorted(environ.items()):
        word = name.removeprefix(_PREFIX)
        if word == name or "__" not in word or not text:
            continue
        if name not in by_variable:
            near = _nearest(word, [key.removeprefix(_PREFIX) for key in by_variable])
            hint = f"did you mean ${_PREFIX}{near}?" if near else _SEE
            raise ConfigError(f"${name}: no such setting; {hint}")
        for setting in by_variable[name]:
            layer[setting.path] = _from_text(setting, text, "$" + name)
    return layer


def file_layer(path: Path, entries: Mapping[str, Entry], settings: _Settings) -> Layer:
    """Return the settings of the configuration file, whose content is `entries`.

    Raises:
        ConfigError: If a key is unknown or a value is wrong.
    """
    return _FileReader(path, settings).read(entries, ())


class _FileReader:
    def __init__(self, file: Path, settings: _Settings) -> None:
        self._file = file
        self._settings = settings
        self._sections = {path[:end] for path in settings for end in range(len(path))}

    def read(self, entries: Mapping[str, Entry], section: KeyPath) -> Layer:
        """Check and return the entries of a section."""
        layer: Layer = {}
        for name, entry in entries.items():
            path = (*section, name)
            source = f"{self._file}:{entry.line}"
            what = f"{source}: {'.'.join(path)}"
            if path in self._settings:
                setting, value = self._settings[path], _plain(entry.value)
                layer[path] = _given(setting, value, source, what=what)
            elif path not in self._sections:
                raise ConfigError(what + self._unknown(path, entry.value))
            elif isinstance(entry.value, dict):
                layer |= self.read(entry.value, path)
            elif entry.value is not None:
                raise ConfigError(
                    f"{what} is {reprlib.repr(_plain(entry.value))}: expected a "
                    "section with `key: value` lines below it"
                )
            elif name == "resources":  # null for all of them; elsewhere nothing
                below = [key for key in self._settings if key[:-1] == path]
                layer |= dict.fromkeys(below, Given(None, source))
        return layer

    def _unknown(self, path: KeyPath, value: Any) -> str:
        """Return the end of the message on an unknown key."""
        name, base = path[-1], path[:-1]
        if path == ("runners", "methods"):
            return " is possible for a single runner only, as in runners.NAME.methods"
        if base[:1] == ("runners",) and base[2:] == ("methods",):
            methods = self._names_below(base)
            hint = _suggest_name(name, methods, listed=methods)
            return f": the runner has no method {name!r}; {hint}"
        section = {} if value is None else value
        names = self._names_below(("runners",)) | RESERVED_NAMES
        if base == ("runners",) and (
            _nearest(name, names)
            or (isinstance(section, dict) and RESERVED_NAMES.issuperset(section))
        ):
            hint = _suggest_name(name, names, listed=names - RESERVED_NAMES)
            # Perhaps a section of another product, as `traffic`, and no runner.
            keys = " and ".join(f"runners.{key}" for key in section)
            if keys and not _nearest(name, names):
                hint += f"; for every runner, set {keys}"
            return f": the service has no runner {name!r}; {hint}"
        in_method = path[2:3] == ("methods",)
        known = [
            key
            for key in self._settings
            if key in GENERAL
            or (key[:2] == path[:2] and (key[2] == "methods") == in_method)
        ]
        return f": unknown key; {_suggest_key(path, value, known)}"

    def _names_below(self, section: KeyPath) -> set[str]:
        end = len(section)
        return {path[end] for path in self._settings if path[:end] == section}


def _plain(value: Any) -> Any:
    """Return a value without its entries' lines."""
    if isinstance(value, dict):
        return {key: _plain(entry.value) for key, entry in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is most like `word`, if any is."""
    known = sorted(known)
    for other in known:
        if word.lower() in re.split(r"[^a-z0-9]", other.lower()):
            return other
    return next(iter(get_close_matches(word, known, n=1, cutoff=0.6)), None)


def _suggest_name(name: str, known: Iterable[str], *, listed: Iterable[str]) -> str:
    near = _nearest(name, known)
    return f"did you mean {near!r}?" if near else f"it has {', '.join(sorted(listed))}"


def _suggest_key(path: KeyPath, value: Any, known: Iterable[KeyPath]) -> str:
    """Return the end of a message on an unknown key.

    Args:
        path: The unknown key's path.
        value: Its value; a dict if it is a section.
        known: Paths of the settings that the file may have.
    """
    keys = {key[:end] for key in known for end in range(1, len(key) + 1)}
    siblings = sorted(key[-1] for key in keys if key[:-1] == path[:-1])
    found = _same_name(path, keys)
    if not found and (near := _nearest(path[-1], siblings)):
        found = repr(near)
    elif not found and isinstance(value, dict):
        # A wrong section around a key that exists: say where that key belongs.
        inner = (_same_name((*path, name), keys) for name in value)
        found = next(filter(None, inner), "")
    elif not found and (near := _nearest(path[-1], {key[-1] for key in keys})):
        found = _same_name((*path[:-1], near), keys)
    return f"did you mean {found}?" if found else f"known here: {', '.join(siblings)}"


def _same_name(path: KeyPath, keys: Iterable[KeyPath]) -> str:
    """Return the keys of the same name that share most of the path."""
    shared = {
        key: sum(key[:end] == path[:end] for end in range(1, len(path)))
        for key in sorted(keys)
        if key[-1] == path[-1]
    }
    best = max(shared.values(), default=0)
    return " or ".join(".".join(key) for key in shared if shared[key] == best)
