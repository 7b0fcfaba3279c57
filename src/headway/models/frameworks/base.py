"""What all frameworks share: save, get, load, and the runnable of a saved model.

sklearn, xgboost and the others say how their models are written, read and called. Only
`save_model`, `load_model` and the runnable's constructor import the framework.
"""

import abc
import importlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from headway.core.method_spec import MethodSpec
from headway.errors import MissingExtraError, ModelNotFoundError
from headway.models.draft import draft_model, read_labels, read_mapping
from headway.models.frameworks.signatures import (
    Signatures,
    check_methods,
    read_signatures,
)
from headway.models.model import Model
from headway.models.store.home import open_store
from headway.models.store.record import ContextRecord, ModelRecord
from headway.models.store.store import ModelStore
from headway.models.store.tag import Tag
from headway.service.runnable import Runnable

__all__ = ["Framework", "ModelRunnable"]


class Framework(abc.ABC):
    """One framework's way of saving and calling models; holds no state."""

    name: ClassVar[str]
    """Attribute of `headway` and name of the extra."""
    package: ClassVar[str]
    """What to import."""
    distribution: ClassVar[str]
    """What to install."""
    default_signatures: ClassVar[Signatures]
    """Signatures of a model that is saved without."""
    supported_resources: ClassVar[tuple[str, ...]] = ("cpu",)
    """As Runnable.SUPPORTED_RESOURCES."""
    multi_threading: ClassVar[bool] = True
    """As Runnable.SUPPORTS_CPU_MULTI_THREADING."""

    @property
    def module(self) -> str:
        """Module of the framework's `save_model`, as in the record."""
        return f"headway.models.frameworks.{self.name}"

    # What each framework says

    @abc.abstractmethod
    def check(self, model: Any, *, what: str) -> None:
        """Refuse an object that is no model of this framework.

        Raises:
            ConfigError: If it is not.
        """

    def options(self, model: Any) -> dict[str, Any]:
        """Return what loading needs beside the files, as plain values."""
        return {}

    @abc.abstractmethod
    def write(
        self,
        model: Any,
        directory: Path,
        *,
        what: str,
        external_modules: Sequence[ModuleType] | None,
    ) -> None:
        """Write the model's files."""

    @abc.abstractmethod
    def read(self, model: Model) -> Any:
        """Load the model itself."""

    def bind(self, loaded: Any, method: str) -> Callable[..., Any]:
        """Return what a runner calls for a method of the loaded model."""
        return getattr(loaded, method)  # type: ignore[no-any-return]  # user's model

    def zero_row(self, loaded: Any) -> Any:
        """Return one row of zeros, or None if the model does not tell its width."""
        return None

    # What users call

    def save_model(
        self,
        name: str | Tag,
        model: Any,
        *,
        signatures: Signatures | None = None,
        labels: Mapping[str, str] | None = None,
        custom_objects: Mapping[str, Any] | None = None,
        external_modules: Sequence[ModuleType] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Model:
        """Save a model under a new version, all at once or not at all.

        Args:
            name: Name, or `name:version` to choose the version.
            model: The model.
            signatures: The methods that a runner offers, with `batchable`, `batch_dim`
                and `sample` (an array of one row to warm up with) for each.
            labels: Short texts to sort models by.
            custom_objects: Objects that come with the model, such as a vectorizer.
            external_modules: Modules whose code is saved with the objects, because the
                server cannot import them.
            metadata: Notes; plain values.

        Returns:
            The saved model.

        Raises:
            InvalidTagError: If the name or version is malformed.
            ModelExistsError: If the version is already there.
            ConfigError: If the model lacks a method of a signature, or an argument is
                wrong.
            StoreError: If the store cannot be written.
        """
        framework = self._import()
        store = open_store()
        tag = store.assign(name)
        what = f"model {tag}"
        self.check(model, what=what)
        given = self.default_signatures if signatures is None else signatures
        records, samples = read_signatures(given, what=what)
        check_methods(model, records, what=what)
        version = str(getattr(framework, "__version__", "unknown"))
        record = ModelRecord(
            name=tag.name,
            version=str(tag.version),
            module=self.module,
            labels=read_labels(labels, what=f"{what}: labels"),
            options=self.options(model),
            metadata=read_mapping(metadata, what=f"{what}: metadata"),
            context=ContextRecord(
                framework_name=self.package,
                framework_versions={self.distribution: version},
            ),
            signatures=records,
        )
        with draft_model(
            store,
            record=record,
            custom_objects=custom_objects,
            samples=samples,
            external_modules=external_modules,
        ) as draft:
            self.write(model, draft.path, what=what, external_modules=external_modules)
        return Model(record=store.get(tag), store=store, framework=self)

    def get(self, tag: str | Tag) -> Model:
        """Return a saved model without loading it, nor the framework.

        Args:
            tag: `name`, `name:latest`, `name:version` or a prefix of one version.

        Raises:
            InvalidTagError: If the tag is malformed.
            ModelNotFoundError: If there is none, or another framework saved it.
            AmbiguousTagError: If several versions have the prefix.
            CorruptModelError: If its record is damaged.
        """
        return self._get(open_store(), tag)

    def load_model(self, tag_or_model: str | Tag | Model) -> Any:
        """Load the model itself into this process.

        Raises:
            ModelNotFoundError: If there is none, or another framework saved it.
            CorruptModelError: If a file is missing or its SHA-256 differs.
            MissingExtraError: If the framework is not installed.
            StoreError: If this process lacks what the model needs.
        """
        if not isinstance(tag_or_model, Model):
            tag_or_model = self.get(tag_or_model)
        self._check_own(tag_or_model.info)
        self._import()
        return self.read(tag_or_model)

    # What runners use

    def load_from(self, tag: str, store_root: str) -> tuple[Model, Any]:
        """Return the model of a tag with its version, and the loaded model."""
        model = self._get(ModelStore(Path(store_root)), tag)
        return model, self.load_model(model)

    def runnable_class(self, record: ModelRecord) -> type[Runnable]:
        """Return the class that loads the model, with a method for each signature."""
        made: type[ModelRunnable] = type(
            f"{record.name}:{self.name}",
            (ModelRunnable,),
            {
                "__doc__": f"The saved model {record.tag}.",
                "FRAMEWORK": self,
                "SUPPORTED_RESOURCES": self.supported_resources,
                "SUPPORTS_CPU_MULTI_THREADING": self.multi_threading,
            },
        )
        for name, signature in record.signatures.items():
            spec = MethodSpec(
                name=name,
                batchable=signature.batchable,
                batch_dim=signature.batch_dim,
            )
            made.add_method(_forward(name), spec)
        return made

    # Details

    def _get(self, store: ModelStore, tag: str | Tag) -> Model:
        record = store.get(tag)
        self._check_own(record)
        return Model(record=record, store=store, framework=self)

    def _check_own(self, record: ModelRecord) -> None:
        if record.module == self.module:
            return
        saver = record.module.replace("headway.models.frameworks.", "headway.")
        raise ModelNotFoundError(
            f"model {record.tag} was not saved by headway.{self.name} but by "
            f"{saver or 'headway.models.create'}: get it with "
            f"`headway.models.get({str(record.tag)!r})`"
        )

    def _import(self) -> ModuleType:
        try:
            return importlib.import_module(self.package)
        except ModuleNotFoundError as error:
            if error.name != self.package:
                raise
            raise MissingExtraError(
                f"{self.distribution} is not installed: pip install "
                f"'headway[{self.name.removesuffix('_model')}]'"
            ) from error


class ModelRunnable(Runnable):
    """A saved model; frameworks make a subclass with a method for each signature.

    Args:
        tag: The model, with its version.
        store_root: Directory of the store.

    Raises:
        StoreError: If the model cannot be loaded.
        MissingExtraError: If the framework is not installed.
    """

    FRAMEWORK: ClassVar[Framework]
    """What saved the model."""

    def __init__(self, *, tag: str, store_root: str) -> None:
        framework = self.FRAMEWORK
        self._model, self._loaded = framework.load_from(tag, store_root)
        self._calls = {
            name: framework.bind(self._loaded, name) for name in self.method_specs()
        }

    def call_loaded(self, name: str, args: tuple[Any, ...], kwargs: Any) -> Any:
        """Call a method of the loaded model."""
        return self._calls[name](*args, **kwargs)

    def warmup_samples(self) -> Mapping[str, tuple[Any, ...]]:
        """Return the samples saved with the model, else zeros that it takes."""
        samples = dict(self._model.samples())
        for name, spec in self.method_specs().items():
            if name in samples or spec.batch_dim[0] != 0 or name == "__call__":
                continue
            row = self.FRAMEWORK.zero_row(self._loaded)
            if row is not None and self._takes(name, row):
                samples[name] = (row,)
        return samples

    def _takes(self, name: str, row: Any) -> bool:
        """Return whether a made-up row can be used: a model may well refuse zeros."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self.call_loaded(name, (row,), {})
            # The model is the user's; whatever it raises, it is not warmed with zeros.
            except Exception:  # noqa: BLE001
                return False
        return True


def _forward(name: str) -> Callable[..., Any]:
    def call(self: ModelRunnable, *args: Any, **kwargs: Any) -> Any:
        return self.call_loaded(name, args, kwargs)

    return call
