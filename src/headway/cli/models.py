"""`headway models`: list, get, delete, export and import saved models.

cli/main adds the group. It uses the store only, and never imports a framework.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from headway.models.record import ModelRecord, Tag
from headway.models.store import ModelStore, open_store

_output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    help="Output format.",
)


@click.group()
def models() -> None:
    """Saved models in $HEADWAY_HOME (default ~/.headway)."""


@models.command("list")
@click.argument("name", required=False)
@_output_option
def list_models(name: str | None, output: str) -> None:
    """List all models, or the versions of NAME."""
    store = open_store()
    records = store.records(name)
    if name is not None and not records:
        store.resolve(Tag.parse(name).name)  # raises: there is no such model
    rows = [_row(store, record) for record in records]
    if output == "json":
        _print_json(rows)
        return
    table = [
        (row["tag"], row["module"], _readable_size(row["size_bytes"]), row["created"])
        for row in rows
    ]
    _print_table(("TAG", "MODULE", "SIZE", "CREATED"), table)


@models.command("get")
@click.argument("tag")
@_output_option
def get_model(tag: str, output: str) -> None:
    """Show the record of the model TAG."""
    store = open_store()
    record = store.get(tag)
    if output == "json":
        row = {**msgspec.to_builtins(record), "path": str(store.directory(record.tag))}
        _print_json(row)
        return
    click.echo(msgspec.yaml.encode(record).decode("utf-8").rstrip())
    click.echo(f"path: {store.directory(record.tag)}")


@models.command("delete")
@click.argument("tags", nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
def delete_models(tags: Sequence[str], yes: bool) -> None:
    """Delete the models TAGS; a bare NAME means all of its versions."""
    store = open_store()
    doomed = [tag for text in tags for tag in _tags(store, text)]
    for tag in dict.fromkeys(doomed):
        if yes or click.confirm(f"Delete the model {tag}?"):
            store.delete(tag)
            click.echo(f"Deleted {tag}.")


@models.command("export")
@click.argument("tag")
@click.argument("path", type=click.Path(path_type=Path), default=".")
def export_model(tag: str, path: Path) -> None:
    """Write the model TAG to PATH: a .hwmodel file, or a directory."""
    click.echo(f"Exported {tag} to {open_store().export_model(tag, path)}.")


@models.command("import")
@click.argument("path", type=click.Path(path_type=Path))
def import_model(path: Path) -> None:
    """Add the model in the file PATH, written by `headway models export`."""
    click.echo(f"Imported {open_store().import_model(path).tag}.")


def _tags(store: ModelStore, text: str) -> list[Tag]:
    if ":" in text:
        return [store.resolve(text)]
    name = Tag.parse(text).name
    versions = store.versions(name)
    return [Tag(name, version) for version in versions] or [store.resolve(name)]


def _row(store: ModelStore, record: ModelRecord) -> dict[str, Any]:
    directory = store.directory(record.tag)
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {
        "tag": str(record.tag),
        "module": record.module,
        "size_bytes": sum(path.stat().st_size for path in files),
        "created": record.creation_time.isoformat(sep=" ", timespec="seconds"),
        "labels": record.labels,
        "path": str(directory),
    }


def _readable_size(size: int) -> str:
    value = float(size)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:.4g} GiB"


def _print_json(value: Any) -> None:
    encoded = msgspec.json.encode(value, order="deterministic")
    click.echo(msgspec.json.format(encoded, indent=2).decode("utf-8"))


def _print_table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    table = [heads, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(heads))]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())
