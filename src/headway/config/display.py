"""Puts the schema and settings in words: docstrings, YAML values, `--print-config`.

cli/serve takes the help of its flags from here and prints `render_config`;
scripts/configuration_page writes the documentation's tables.
"""

import ast
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import yaml

from headway.config import schema
from headway.config.resolution import ResolvedConfig
from headway.config.schema import GENERAL, KeyPath
from headway.config.yaml_file import parse_text

_PLAIN = re.compile(r"[A-Za-z0-9./_-]+")


def field_docs() -> dict[tuple[str, str], str]:
    """Return the docstring below each field, on one line, by struct and field.

    A struct's own is under the field "".
    """
    docs: dict[tuple[str, str], str] = {}
    for node in ast.parse(inspect.getsource(schema)).body:
        if isinstance(node, ast.ClassDef):
            field = ""
            for statement in node.body:
                if isinstance(statement, ast.AnnAssign):
                    field = ast.unparse(statement.target)
                elif isinstance(statement, ast.Expr):
                    text = str(ast.literal_eval(statement.value))
                    docs[node.name, field] = " ".join(text.split())
    return docs


def as_yaml(value: Any) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(as_yaml, value))}]"
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and parse_text(value) == value:
        return value
    quoted: str = yaml.safe_dump(value, default_style='"', width=2**31)
    return quoted.removesuffix("\n")


def render_config(resolved: ResolvedConfig) -> str:
    """Return all settings as a configuration file, the source of each as a comment."""
    tree = msgspec.to_builtins(resolved.config)
    del tree["runners"]["methods"]
    for name, runner in resolved.runners.items():
        tree["runners"][name] = msgspec.to_builtins(runner)
    head = f"# file: {resolved.file or 'none'}\n"
    return head + "".join(_lines(tree, (), resolved.sources))


def _lines(
    tree: Mapping[str, Any], path: KeyPath, sources: Mapping[str, str]
) -> Iterator[str]:
    indent = "  " * len(path)
    for key, value in tree.items():
        inner = (*path, key)
        shown, source = as_yaml(key), sources.get(".".join(inner))
        if isinstance(value, dict):
            if value:
                yield f"{indent}{shown}:\n"
                yield from _lines(value, inner, sources)
        elif source is not None:
            is_secret = inner in GENERAL and GENERAL[inner].is_secret
            # A dollar sign would begin a variable if this were read again.
            text = as_yaml("***" if is_secret and value is not None else value)
            yield f"{indent}{shown}: {text.replace('$', '$$')}  # {source}\n"
