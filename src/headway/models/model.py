"""A saved model as services see it: its record, its custom objects, its runner.

library and frameworks/ create it; users' services call it. It never loads the model
itself: only the runnable does, in a runner process.
"""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from headway.errors import ConfigError, StoreError
from headway.models import pickling
from headway.models.record import ModelRecord, Tag
from headway.models.store import ModelStore
from headway.service.runnable import Runnable
from headway.service.runner import Runner

CUSTOM_OBJECTS_FILE = "custom_objects.pkl"
SAMPLES_FILE = "samples.pkl"


class Model:
    """A model in the store.

    Args:
        record: The content of its `model.yaml`.
        store: The store that contains it.
        runnable_class: Returns a class that loads the model, of the framework that
            saved it; None for a model in the user's own format.
    """

    def __init__(
        self,
        *,
        record: ModelRecord,
        store: ModelStore,
        runnable_class: Callable[[ModelRecord], type[Runnable]] | None,
    ) -> None:
        self._record = record
        self._store = store
        self._runnable_class = runnable_class

    @property
    def tag(self) -> Tag:
        """Name and full version."""
        return self._record.tag

    @property
    def info(self) -> ModelRecord:
        """Labels, metadata, signatures, creation time and the rest of its record."""
        return self._record

    @property
    def path(self) -> Path:
        """Directory of the model's files."""
        return self._store.directory(self.tag)

    def path_of(self, name: str) -> Path:
        """Verify one of the model's files and return its path.

        Args:
            name: Path relative to the model's directory.

        Raises:
            CorruptModelError: If it is missing or its SHA-256 differs.
        """
        self._store.verify(self._record, name)
        return self.path / name

    @functools.cached_property
    def custom_objects(self) -> Mapping[str, Any]:
        """The objects saved with the model, loaded on first use.

        Raises:
            CorruptModelError: If their file is damaged.
            StoreError: If this process lacks a module that they need.
        """
        return self._unpickled(CUSTOM_OBJECTS_FILE, "custom objects")

    def samples(self) -> Mapping[str, tuple[Any, ...]]:
        """Return the signatures' samples by method, for a runner's warm-up.

        Raises:
            CorruptModelError: If their file is damaged.
            StoreError: If this process lacks a module that they need.
        """
        return self._unpickled(SAMPLES_FILE, "samples")

    def _unpickled(self, name: str, what: str) -> dict[str, Any]:
        if name not in self._record.files:
            return {}
        what = f"model {self.tag}: its {what}"
        objects = pickling.load(self.path_of(name), what=what)
        if not isinstance(objects, dict):
            raise StoreError(f"{what} are a {type(objects).__name__}, not a dict")
        return objects

    def to_runner(
        self,
        name: str = "",
        max_batch_size: int | None = None,
        max_latency_ms: float | None = None,
        method_configs: Mapping[str, Mapping[str, Any]] | None = None,
        embedded: bool = False,
        scheduling_strategy: object = None,
    ) -> Runner:
        """Return a runner of this version of the model.

        Args:
            name: Unique within a service; the model's name if empty.
            max_batch_size: Maximum number of rows in a batch, for every method.
            max_latency_ms: Maximum time in the runner, for every method.
            method_configs: The last two by method.
            embedded: Accepted for compatibility with existing services; unused.
            scheduling_strategy: Accepted for compatibility with existing services;
                unused.

        Raises:
            ConfigError: If the model is in the user's own format, or an argument is
                wrong.
        """
        if self._runnable_class is None:
            raise ConfigError(
                f"model {self.tag} was not saved by a framework that this Headway "
                f"supports (its module is {self.info.module!r}): write a "
                "headway.Runnable that loads it, and create a runner with "
                "headway.Runner(...)"
            )
        return Runner(
            self._runnable_class(self._record),
            # Plain text, so that any process can load it; never "latest".
            runnable_init_params={
                "tag": str(self.tag),
                "store_root": str(self._store.root),
            },
            name=name or self.tag.name,
            models=[self],
            max_batch_size=max_batch_size,
            max_latency_ms=max_latency_ms,
            method_configs=method_configs,
            embedded=embedded,
            scheduling_strategy=scheduling_strategy,
        )

    def __repr__(self) -> str:
        return f"Model(tag={str(self.tag)!r}, path={str(self.path)!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Model):
            return NotImplemented
        return (self.tag, self.path) == (other.tag, other.path)

    def __hash__(self) -> int:
        return hash((self.tag, self.path))
