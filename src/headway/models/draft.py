"""A model being saved: a directory to write to, published when the block ends.

models.create and frameworks/ call it; it calls store.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from headway.errors import ConfigError
from headway.models.model import CUSTOM_OBJECTS_FILE, SAMPLES_FILE
from headway.models.store import pickling
from headway.models.store.record import ModelRecord
from headway.models.store.store import ModelStore
from headway.models.store.tag import Tag

__all__ = ["ModelDraft", "draft_model", "read_labels", "read_mapping"]


class ModelDraft:
    """Where to write the files of a model that is not visible yet.

    Args:
        tag: What it will be called.
        path: An empty directory; it moves to the store when the block ends.
    """

    def __init__(self, *, tag: Tag, path: Path) -> None:
        self.tag = tag
        self.path = path

    def path_of(self, name: str) -> Path:
        """Return where to write a file."""
        return self.path / name

    def __repr__(self) -> str:
        return f"ModelDraft(tag={str(self.tag)!r})"


@contextlib.contextmanager
def draft_model(
    store: ModelStore,
    *,
    record: ModelRecord,
    custom_objects: Mapping[str, Any] | None,
    samples: Mapping[str, tuple[Any, ...]],
    external_modules: Sequence[ModuleType] | None,
) -> Iterator[ModelDraft]:
    """Save a model: whatever fails or dies before the end leaves nothing behind.

    Raises:
        ConfigError: If custom objects or samples cannot be pickled.
        StoreError: If the model exists already or the store cannot be written.
    """
    tag = record.tag
    objects = read_mapping(custom_objects, what=f"model {tag}: custom_objects")
    pickles = [
        (CUSTOM_OBJECTS_FILE, "custom_objects", objects),
        (SAMPLES_FILE, "samples", dict(samples)),
    ]
    with store.create(record) as path:
        for name, what, values in pickles:
            if values:
                pickling.dump(
                    values,
                    path / name,
                    what=f"model {tag}: {what}",
                    external_modules=external_modules,
                )
        yield ModelDraft(tag=tag, path=path)


def read_mapping(value: Mapping[str, Any] | None, *, what: str) -> dict[str, Any]:
    """Return a copy of a mapping with text keys.

    Raises:
        ConfigError: If it is anything else.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or any(not isinstance(key, str) for key in value):
        raise ConfigError(f"{what}: give a dict whose keys are text, not {value!r:.80}")
    return dict(value)


def read_labels(labels: Mapping[str, Any] | None, *, what: str) -> dict[str, str]:
    """Return labels as text; numbers and booleans become text.

    Raises:
        ConfigError: If a label is anything else.
    """
    read = {}
    for key, value in read_mapping(labels, what=what).items():
        if not isinstance(value, str | int | float):
            raise ConfigError(
                f"{what}: the label {key!r} is a {type(value).__name__}; labels are "
                "short texts, put anything else in metadata"
            )
        read[key] = str(value)
    return read
