"""What all frameworks share: save, get, load, and the runnable of a saved model.

sklearn, xgboost and picklable_model define how their models are written, read and
called. Only `save_model`, `load_model` and a runner's process import the framework.
"""

import abc
import importlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from headway.errors import MissingExtraError, ModelNotFoundError
from headway.models.draft import ModelDraft, Signatures, check_methods, create
from headway.models.model import Model
from headway.models.pickling import Modules
from headway.models.record import ContextRecord, ModelRecord, Tag
from headway.models.store import ModelStore, open_store
from headway.service.runnable import Runnable


class Framework(abc.ABC):
    """One framework's way to save and call models; it has no state."""

    name: ClassVar[str]
    """Name of Headway's module, `headway.NAME`."""
    package: ClassVar[str]
    """The package to import."""
    distribution: ClassVar[str]
    """The distribution to install."""
    default_signatures: ClassVar[Signatures]
    """Signatures of a model that is saved without."""
    multi_threading: ClassVar[bool] = True
    """As Runnable.SUPPORTS_CPU_MULTI_THREADING."""

    @property
    def module(self) -> str:
        """Headway's module for the framework, as in model.yaml: the public path."""
        return f"headway.{self.name}"

    # Defined by each framework

    @abc.abstractmethod
    def check(self, model: Any, *, what: str) -> None:
        """Raise ConfigError if the object is not a model of this framework."""

    def options(self, model: Any) -> dict[str, Any]:
        """Return plain values that loading needs in addition to the files."""
        return {}

    @abc.abstractmethod
    def write(self, model: Any, draft: ModelDraft, modules: Modules) -> None:
        """Write the model's files; `modules` are saved by value."""

    @abc.abstractmethod
    def read(self, model: Model) -> Any:
        """Load the model itself."""

    def bind(self, loaded: Any, method: str) -> Callable[..., Any]:
        """Return what a runner calls for a method of the loaded model."""
        return getattr(loaded, method)  # type: ignore[no-any-return]  # user's model

    def zero_row(self, loaded: Any) -> Any:
        """Return one row of zeros, or None if the model's width is unknown."""
        return None

    # Called by users

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
        """Save a model under a new version and return it; on any error, save nothing.

        Args:
            name: Name, or `name:version` to choose the version.
            model: The model.
            signatures: The methods that a runner offers, with `batchable`, `batch_dim`
                and `sample` (an array of one row to warm up with) for each.
            labels: Short texts to sort models by.
            custom_objects: Objects to save with the model, such as a vectorizer.
            external_modules: Modules whose code is saved with the objects, because the
                server cannot import them.
            metadata: Notes; plain values.

        Raises:
            InvalidTagError: If the name or version is malformed.
            ModelExistsError: If the version exists already.
            ConfigError: If the model lacks a method of a signature, or an argument is
                wrong.
            StoreError: If the store cannot be written.
        """
        framework = self._import()
        tag = open_store().assign(name)
        what = f"model {tag}"
        self.check(model, what=what)
        version = str(getattr(framework, "__version__", "unknown"))
        with create(
            tag,
            module=self.module,
            signatures=self.default_signatures if signatures is None else signatures,
            labels=labels,
            options=self.options(model),
            custom_objects=custom_objects,
            external_modules=external_modules,
            metadata=metadata,
            context=ContextRecord(self.package, {self.distribution: version}),
        ) as draft:
            check_methods(model, draft.info.signatures, what=what)
            self.write(model, draft, external_modules)
        return self.get(tag)

    def get(self, tag: str | Tag) -> Model:
        """Return a saved model without loading it or importing the framework.

        Args:
            tag: `name`, `name:latest`, `name:version` or a prefix of one version.

        Raises:
            InvalidTagError: If the tag is malformed.
            ModelNotFoundError: If there is none, or another framework saved it.
            AmbiguousTagError: If several versions have the prefix.
            CorruptModelError: If its record is damaged.
        """
        store = open_store()
        record = store.get(tag)
        self._check_own(record)
        return Model(record=record, store=store, runnable_class=self.runnable_class)

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

    # Called by Model.to_runner

    def runnable_class(self, record: ModelRecord) -> type[Runnable]:
        """Return a class that loads the model, with a method for each signature."""
        members: dict[str, Any] = {
            "__doc__": f"The saved model {record.tag}.",
            "FRAMEWORK": self,
            "SUPPORTS_CPU_MULTI_THREADING": self.multi_threading,
        }
        for name, signature in record.signatures.items():
            members[name] = Runnable.method(
                batchable=signature.batchable, batch_dim=signature.batch_dim
            )(_method(name))
        return type(f"{record.name}:{self.name}", (ModelRunnable,), members)

    def _check_own(self, record: ModelRecord) -> None:
        if record.module != self.module:
            raise ModelNotFoundError(
                f"model {record.tag} was not saved by {self.module} but by "
                f"{record.module or 'headway.models.create'}: get it with "
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
    """A saved model; `Framework.runnable_class` adds a method for each signature.

    Args:
        tag: The model, with its version.
        store_root: Directory of the store.

    Raises:
        StoreError: If the model cannot be loaded.
        MissingExtraError: If the framework is not installed.
    """

    FRAMEWORK: ClassVar[Framework]
    """The framework that saved the model."""

    def __init__(self, *, tag: str, store_root: str) -> None:
        framework, store = self.FRAMEWORK, ModelStore(Path(store_root))
        self._model = Model(record=store.get(tag), store=store, runnable_class=None)
        self._loaded = framework.load_model(self._model)
        self.calls = {
            name: framework.bind(self._loaded, name) for name in self.method_specs()
        }

    def warmup_samples(self) -> Mapping[str, tuple[Any, ...]]:
        """Return the samples saved with the model, else zeros if it accepts them."""
        samples = dict(self._model.samples())
        for name, spec in self.method_specs().items():
            if name in samples or spec.batch_dim[0] != 0 or name == "__call__":
                continue
            row = self.FRAMEWORK.zero_row(self._loaded)
            if row is not None and self._accepts(name, row):
                samples[name] = (row,)
        return samples

    def _accepts(self, name: str, row: Any) -> bool:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self.calls[name](row)
            # The model is the user's and may raise any error; then skip the warm-up.
            except Exception:  # noqa: BLE001
                return False
        return True


def _method(name: str) -> Callable[..., Any]:
    def call(self: ModelRunnable, *args: Any, **kwargs: Any) -> Any:
        return self.calls[name](*args, **kwargs)

    call.__name__ = name
    return call
