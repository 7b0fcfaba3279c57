"""The functions of `headway.models`: the models in `$HEADWAY_HOME` of all frameworks.

Users call them. They call store and give each model the framework that saved it.
"""

import builtins
import os
from pathlib import Path

from headway.models.draft import create as create
from headway.models.frameworks import picklable_model, sklearn, xgboost
from headway.models.model import Model
from headway.models.record import ModelRecord, Tag
from headway.models.store import ModelStore, open_store

# By the module in the model's record. These modules do not import the framework.
_RUNNABLE_CLASSES = {
    framework.module: framework.runnable_class
    for framework in (picklable_model.FRAMEWORK, sklearn.FRAMEWORK, xgboost.FRAMEWORK)
}


def _model(store: ModelStore, record: ModelRecord) -> Model:
    runnable_class = _RUNNABLE_CLASSES.get(record.module)
    return Model(record=record, store=store, runnable_class=runnable_class)


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
        CorruptModelError: If one of its files is damaged.
        StoreError: If the file cannot be written.
    """
    return str(open_store().export_model(tag, Path(path)))


def import_model(path: str | os.PathLike[str]) -> Model:
    """Add the model of an exported file to the store.

    Raises:
        ModelExistsError: If the version exists already.
        CorruptModelError: If the file is damaged or unsafe.
        StoreError: If it cannot be read, or the store cannot be written.
    """
    store = open_store()
    return _model(store, store.import_model(Path(path)))
