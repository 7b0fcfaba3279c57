"""The configuration file's settings, each checked, with general keys and runners'.

resolve lays them over the other layers.
"""

import reprlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from headway.config.layers import Given, Layer, RunnerMethods, checked
from headway.config.schema import RunnerConfig
from headway.config.settings import GENERAL, METHOD, RUNNER, KeyPath, Setting
from headway.config.suggest import nearest, suggest_key
from headway.config.yaml_file import Entry, read_yaml
from headway.errors import ConfigError

__all__ = ["RESERVED_NAMES", "file_layer"]

RESERVED_NAMES = frozenset(RunnerConfig.__struct_encode_fields__)
"""Keys of `runners` that no runner may be called."""

_Table = Mapping[KeyPath, Setting]


def file_layer(
    path: Path, environ: Mapping[str, str], runners: RunnerMethods | None
) -> Layer:
    """Return what a file gives.

    Args:
        path: The file.
        environ: For `${NAME}` in values.
        runners: The service's runners; None if they are not known.

    Raises:
        ConfigError: If the file cannot be read, a key is unknown, or a value of the
            wrong type or absurd.
    """
    reader = _FileReader(path, runners)
    reader.walk(read_yaml(path, environ), GENERAL, (), (), reader.layer.general)
    return reader.layer


class _FileReader:
    def __init__(self, file: Path, runners: RunnerMethods | None) -> None:
        self._file = file
        self._runners = runners
        self.layer = Layer()

    def walk(
        self,
        entries: Mapping[str, Entry],
        table: _Table,
        base: KeyPath,
        below: KeyPath,
        given: dict[KeyPath, Given],
    ) -> None:
        """Check the entries of a section and put them into `given`.

        Args:
            entries: The section's entries.
            table: The settings, by path below `base`.
            base: Path of what `table` describes.
            below: Path of the section below `base`.
            given: Where values go, by path below `base` too.
        """
        for name, entry in entries.items():
            path = (*below, name)
            full = (*base, *path)
            inner = [key for key in table if key[: len(path)] == path]
            if path in table:
                given[path] = self._given(table[path], entry, full)
            elif inner and entry.value is None:
                given.update(self._null_section(table, inner, entry))
            elif inner:
                section = self._section(entry, full)
                self.walk(section, table, base, path, given)
            elif table is RUNNER and path == ("methods",):
                self._methods(entry, base, given)
            elif full[:-1] == ("runners",):
                self._runner(name, entry)
            else:
                raise self._unknown(full, entry, {(*base, *key) for key in table})

    def _given(self, setting: Setting, entry: Entry, full: KeyPath) -> Given:
        what = f"{self._file}:{entry.line}: {'.'.join(full)}"
        value = checked(setting, _plain(entry.value), what=what)
        return Given(value, f"{self._file}:{entry.line}")

    def _null_section(
        self, table: _Table, inner: list[KeyPath], entry: Entry
    ) -> dict[KeyPath, Given]:
        """Return nothing, as nothing is given, but for `resources: null`.

        That says null for each of a section whose settings are all null by default.
        """
        if any(table[key].default is not None for key in inner):
            return {}
        source = f"{self._file}:{entry.line}"
        return {key: Given(None, source) for key in inner}

    def _section(self, entry: Entry, full: KeyPath) -> Mapping[str, Entry]:
        if entry.value is None:
            return {}
        if isinstance(entry.value, dict):
            return entry.value
        raise ConfigError(
            f"{self._file}:{entry.line}: {'.'.join(full)} is "
            f"{reprlib.repr(_plain(entry.value))}: expected a section with `key: "
            "value` lines below it"
        )

    def _runner(self, name: str, entry: Entry) -> None:
        full = ("runners", name)
        if name in RESERVED_NAMES:
            raise ConfigError(
                f"{self._file}:{entry.line}: runners.{name} is possible for a single "
                f"runner only, as in runners.NAME.{name}"
            )
        looks_like_runner = entry.value is None or (
            isinstance(entry.value, dict) and RESERVED_NAMES.issuperset(entry.value)
        )
        if self._runners is None:
            if not isinstance(entry.value, dict | None):
                raise self._unknown(full, entry, set(GENERAL))
        elif name not in self._runners:
            near = nearest(name, [*RESERVED_NAMES, *self._runners])
            if near is None and not looks_like_runner:
                raise self._unknown(full, entry, set(GENERAL))
            hint = f"did you mean {near!r}?" if near else _listed(self._runners)
            if near is None and entry.value:
                # Maybe a section of other products, as `traffic`, and no runner.
                keys = " and ".join(f"runners.{key}" for key in entry.value)
                hint += f"; for every runner, set {keys}"
            raise ConfigError(
                f"{self._file}:{entry.line}: runners.{name}: the service has no "
                f"runner {name!r}; {hint}"
            )
        given = self.layer.runners.setdefault(name, {})
        self.walk(self._section(entry, full), RUNNER, full, (), given)

    def _methods(
        self, entry: Entry, base: KeyPath, given: dict[KeyPath, Given]
    ) -> None:
        known = None if self._runners is None else self._runners[base[-1]]
        section = self._section(entry, (*base, "methods"))
        for method, options in section.items():
            full = (*base, "methods", method)
            if known is not None and method not in known:
                near = nearest(method, known)
                hint = f"did you mean {near!r}?" if near else _listed(known)
                raise ConfigError(
                    f"{self._file}:{options.line}: {'.'.join(full)}: the runner has "
                    f"no method {method!r}; {hint}"
                )
            values: dict[KeyPath, Given] = {}
            self.walk(self._section(options, full), METHOD, full, (), values)
            given |= {("methods", method, *key): value for key, value in values.items()}

    def _unknown(
        self, full: KeyPath, entry: Entry, known: Collection[KeyPath]
    ) -> ConfigError:
        hint = suggest_key(full, entry.value, {*GENERAL, *known})
        return ConfigError(
            f"{self._file}:{entry.line}: {'.'.join(full)}: unknown key; {hint}"
        )


def _listed(names: Collection[str]) -> str:
    return f"it has {', '.join(sorted(names)) or 'none'}"


def _plain(value: Any) -> Any:
    """Return a value without its entries' lines."""
    if isinstance(value, dict):
        return {key: _plain(entry.value) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
