"""`headway.models`: the models in `$HEADWAY_HOME`, whichever framework saved them.

Users call it; it calls store and gives each model the framework that saved it.
"""

import builtins
import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from headway.models.draft import ModelDraft, draft_model, read_labels, read_mapping
from headway.models.frameworks.registry import framework_of
from headway.models.frameworks.signatures import Signatures, read_signatures
from headway.models.model import Model
from headway.models.store.home import open_store
from headway.models.store.record import ModelRecord
from headway.models.store.store import ModelStore
from headway.models.store.tag import Tag

__all__ = ["create", "delete", "export_model", "get", "import_model", "list"]


def _model(store: ModelStore, record: ModelRecord) -> Model:
    return Model(record=record, store=store, framework=framework_of(record.module))


def list(name: str | None = None) -> builtins.list[Model]:  # noqa: A001 - the surface
    """Return all models by name, the newest of each name first.

    Args:
        name: Only the versions of this model.

    Raises:
        InvalidTagError: If the name is malformed.
    """
    store = open_store()
    return [_model(store, record) for record in store.records(name)]


def get(tag: str | Tag) -> Model:
    """Return a saved model without loading it.

    Args:
        tag: `name`, `name:latest`, `name:version` or a prefix of one version.

    Raises:
        InvalidTagError: If the tag is malformed.
        ModelNotFoundError: If there is no such model.
        AmbiguousTagError: If several versions have the prefix.
        CorruptModelError: If its record is damaged.
    """
    store = open_store()
    return _model(store, store.get(tag))


def delete(tag: str | Tag) -> Tag:
    """Remove one version of a model and return its tag.

    Raises:
        InvalidTagError: If the tag is malformed.
        ModelNotFoundError: If there is no such model.
        AmbiguousTagError: If several versions have the prefix.
        StoreError: If the store cannot be written.
    """
    return open_store().delete(tag)


def export_model(tag: str | Tag, path: str | os.PathLike[str]) -> str:
    """Write a model to one file and return that file's path.

    Args:
        tag: The model.
        path: The file, which gets the suffix `.hwmodel`, or an existing directory.

    Raises:
        ModelNotFoundError: If there is no such model.
        CorruptModelError: If one of its files is.
        StoreError: If the file cannot be written.
    """
    return str(open_store().export_model(tag, Path(path)))


def import_model(path: str | os.PathLike[str]) -> Model:
    """Add the model of an exported file to the store.

    Raises:
        ModelExistsError: If the version is already there.
        CorruptModelError: If the file is damaged or unsafe.
        StoreError: If it cannot be read, or the store not written.
    """
    store = open_store()
    record = store.import_model(Path(path))
    return _model(store, record)


@contextlib.contextmanager
def create(  # noqa: PLR0913 - the surface that users know
    name: str | Tag,
    *,
    module: str = "",
    signatures: Signatures | None = None,
    labels: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    external_modules: Sequence[ModuleType] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Iterator[ModelDraft]:
    """Save a model in a format of your own: write files to the draft's path.

    The model appears in the store when the block ends; if it raises, nothing does.

    Args:
        name: Name, or `name:version` to choose the version.
        module: What can load it; your own, for your own use.
        signatures: Its methods, for your own runnable.
        labels: Short texts to sort models by.
        options: What loading needs; plain values.
        custom_objects: Objects that come with the model.
        external_modules: Modules whose code is saved with those objects.
        metadata: Notes; plain values.

    Raises:
        InvalidTagError: If the name or version is malformed.
        ModelExistsError: If the version is already there.
        ConfigError: If an argument is wrong.
        StoreError: If the store cannot be written.
    """
    store = open_store()
    tag = store.assign(name)
    what = f"model {tag}"
    records, samples = read_signatures(signatures or {}, what=what)
    record = ModelRecord(
        name=tag.name,
        version=str(tag.version),
        module=module,
        labels=read_labels(labels, what=f"{what}: labels"),
        options=read_mapping(options, what=f"{what}: options"),
        metadata=read_mapping(metadata, what=f"{what}: metadata"),
        signatures=records,
    )
    with draft_model(
        store,
        record=record,
        custom_objects=custom_objects,
        samples=samples,
        external_modules=external_modules,
    ) as draft:
        yield draft
