"""Puts the schema in words: docstrings, types and bounds, defaults.

document and flags are made of them.
"""

import ast
import inspect
import json
import re
import types
import typing
from typing import Any

import msgspec
import yaml

from headway.config import schema
from headway.config.yaml_file import parse_text

__all__ = ["as_yaml", "field_docs", "type_name", "type_words"]

_PLAIN = re.compile(r"[A-Za-z0-9./_-]+")
_NAMES = {bool: "true or false", int: "integer", float: "number", str: "text"}


def field_docs() -> dict[tuple[str, str], str]:
    """Return the docstring below each field, on one line, by struct and field.

    A struct's own is under the field "".
    """
    docs: dict[tuple[str, str], str] = {}
    for node in ast.parse(inspect.getsource(schema)).body:
        if not isinstance(node, ast.ClassDef):
            continue
        field = ""
        for statement in node.body:
            if isinstance(statement, ast.AnnAssign):
                assert isinstance(statement.target, ast.Name)
                field = statement.target.id
            elif isinstance(statement, ast.Expr):
                text = str(ast.literal_eval(statement.value))
                docs[node.name, field] = " ".join(text.split())
    return docs


def as_yaml(value: Any) -> str:
    """Return a value as the file may spell it, on one line."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(as_yaml, value))}]"
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and parse_text(value) == value:
        return value
    quoted: str = yaml.safe_dump(value, default_style='"', width=2**31)
    return quoted.removesuffix("\n")


def type_name(type_: Any) -> str:
    """Return one word for the type, leaving out that it may be null."""
    origin, args = typing.get_origin(type_), typing.get_args(type_)
    if origin is typing.Annotated:
        return type_name(args[0])
    if origin in (typing.Union, types.UnionType):
        return type_name(args[0])
    return {bool: "BOOLEAN", int: "INTEGER", float: "NUMBER"}.get(type_, "TEXT")


def type_words(type_: Any) -> str:
    """Return what a value may be, bounds included."""
    origin, args = typing.get_origin(type_), typing.get_args(type_)
    if origin is typing.Annotated:
        metas = [meta for meta in args[1:] if isinstance(meta, msgspec.Meta)]
        words = " ".join([type_words(args[0]), *map(_bounds_words, metas)])
    elif origin in (typing.Union, types.UnionType):
        words = " or ".join(map(type_words, args))
    elif origin is typing.Literal:
        words = " or ".join(f"`{value}`" for value in args)
    elif origin in (list, tuple):
        words = f"list of ({type_words(args[0])})"
    else:
        words = "null" if type_ is types.NoneType else _NAMES[type_]
    return words.strip()


def _bounds_words(meta: msgspec.Meta) -> str:
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    parts = [
        f"{sign} {getattr(meta, name):,}"
        for name, sign in signs.items()
        if getattr(meta, name) is not None and abs(getattr(meta, name)) < 2**31 - 1
    ]
    return " and ".join(parts)
