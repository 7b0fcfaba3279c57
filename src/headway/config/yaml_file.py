"""Reads a YAML file into keys, values and line numbers.

resolution reads the configuration file with it; layers checks what the keys mean.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from headway.errors import ConfigError

_MAX_DEPTH = 8
_VARIABLE = re.compile(r"\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{")


class Entry(msgspec.Struct, frozen=True):
    """A value of the file."""

    value: Any
    """A `dict[str, Entry]`, or a plain value."""
    line: int


class _Loader(yaml.SafeLoader):
    """Reads one text; its numbers may be written 1e3, as in YAML 1.2."""

    def __init__(
        self, text: str, path: Path = Path(), environ: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(text)
        self._path = path
        self._environ = environ or {}
        self._checked: set[int] = set()

    def entries(self) -> dict[str, Entry]:
        node = self.get_single_node()
        value = None if node is None else self._value(node, 0)
        if node is None or value is None:
            return {}
        if not isinstance(value, dict):
            raise self._error(node, "the file must hold `key: value` lines")
        return value

    def _value(self, node: yaml.Node, depth: int) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if depth == _MAX_DEPTH:
            raise self._error(node, "nested too deeply")
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, depth + 1) for item in node.value]
        assert isinstance(node, yaml.MappingNode)
        if id(node) not in self._checked:
            # Once, before merge keys (<<), which may be overridden, are resolved here.
            self._checked.add(id(node))
            self._refuse_duplicates(node)
        self.flatten_mapping(node)
        return {
            self._key(key): Entry(self._value(value, depth + 1), _line(key))
            for key, value in node.value
        }

    def _refuse_duplicates(self, node: yaml.MappingNode) -> None:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            name = self._key(key)
            if name in seen:
                raise self._error(key, f"{name!r} is also on line {seen[name]}")
            seen[name] = _line(key)

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._error(node, "a key must be a word")
        return str(node.value)

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text = _VARIABLE.sub(lambda match: self._expand(match, node), node.value)
        tag = node.tag
        if text != node.value and node.style is None:
            # `port: ${PORT:-3000}` is a number, as if it had been written there.
            tag = self.resolve(  # type: ignore[no-untyped-call]  # not in the stubs
                yaml.ScalarNode, text, (True, False)
            )
        made = yaml.ScalarNode(tag, text, node.start_mark, node.end_mark)
        try:
            return self.construct_object(made)
        except (ValueError, OverflowError) as error:
            raise self._error(node, f"{text!r} is no value: {error}") from error

    def _expand(self, match: re.Match[str], node: yaml.Node) -> str:
        if match[0] == "$$":
            return "$"
        name, default = match[1], match[2]
        if name is None:
            raise self._error(node, "write ${NAME}, ${NAME:-default}, or $${ for ${")
        value = self._environ.get(name, "")
        if value or default is not None:
            return value or default
        raise self._error(
            node, f"${{{name}}} is not set; set it or write ${{{name}:-default}}"
        )

    def _error(self, node: yaml.Node, reason: str) -> ConfigError:
        return ConfigError(f"{self._path}:{_line(node)}: {reason}")


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def parse_text(text: str) -> Any:
    """Return the value of a text as YAML, or the text itself if it is no YAML."""
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError):
        return text


def read_yaml(path: Path, environ: Mapping[str, str]) -> dict[str, Entry]:
    """Return the top-level entries of a file.

    `${NAME}` and `${NAME:-default}` in values are replaced from `environ`; `$$` is a
    dollar sign.

    Raises:
        ConfigError: If the file cannot be read, is no YAML mapping, has a duplicate
            key or needs a variable that is not set.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text: {error.reason}") from error
    try:
        loader = _Loader(text, path, environ)
        try:
            return loader.entries()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        parts = filter(None, (error.context, error.problem))
        reason = " ".join(" ".join(parts).split())
        raise ConfigError(f"{path}{line}: broken YAML: {reason}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: broken YAML: nested too deeply") from error
    except yaml.reader.ReaderError as error:
        line = f":{text.count(chr(10), 0, error.position) + 1}"
        raise ConfigError(f"{path}{line}: broken YAML: {error.reason}") from error
