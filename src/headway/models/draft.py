"""A model that is being saved: its arguments are checked, its files written, published.

Users call `headway.models.create`, and every framework's `save_model` calls it too. It
calls store and pickling. Mistakes in signatures fail here, not later in the server.
"""

import contextlib
import difflib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from headway.core.method_spec import batch_dims
from headway.errors import ConfigError
from headway.models import pickling
from headway.models.model import CUSTOM_OBJECTS_FILE, SAMPLES_FILE
from headway.models.record import ContextRecord, ModelRecord, SignatureRecord, Tag
from headway.models.store import open_store
from headway.service.runnable import Runnable
from headway.service.runner import Runner

Signatures = Mapping[str, Mapping[str, Any]]
_KEYS = ("batchable", "batch_dim", "input_spec", "output_spec", "sample")
_USUAL = ("predict", "predict_proba", "transform", "generate")
# Attributes of runners and runnables, except those with the meaning of a method.
_TAKEN = ({*dir(Runner), *dir(Runnable)} | {"name", "methods", "models", "options"}) - {
    "__call__",
    "run",
    "async_run",
}


class ModelDraft:
    """A model that is not visible yet; write its files to `path`.

    Args:
        info: The record that it will have.
        path: An empty directory, which moves to the store when the block ends.
    """

    def __init__(self, *, info: ModelRecord, path: Path) -> None:
        self.info = info
        self.path = path

    @property
    def tag(self) -> Tag:
        """Name and version."""
        return self.info.tag

    def path_of(self, name: str) -> Path:
        """Return the path to write a file to."""
        return self.path / name

    def __repr__(self) -> str:
        return f"ModelDraft(tag={str(self.tag)!r})"


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
    context: ContextRecord | None = None,
) -> Iterator[ModelDraft]:
    """Save a model in your own format: write files to the draft's path.

    The model appears in the store when the block ends; if the block raises, nothing
    is saved.

    Args:
        name: Name, or `name:version` to choose the version.
        module: The module that can load it; for your own use.
        signatures: Its methods, for your own runnable.
        labels: Short texts to sort models by.
        options: Plain values that loading needs.
        custom_objects: Objects to save with the model.
        external_modules: Modules whose code is saved with those objects.
        metadata: Notes; plain values.
        context: Versions of the software that saved it; Headway's and Python's if None.

    Raises:
        InvalidTagError: If the name or version is malformed.
        ModelExistsError: If the version exists already.
        ConfigError: If an argument is wrong.
        StoreError: If the store cannot be written.
    """
    store = open_store()
    tag = store.assign(name)
    what = f"model {tag}"
    signature_records, samples = read_signatures(signatures or {}, what=what)
    record = ModelRecord(
        name=tag.name,
        version=str(tag.version),
        module=module,
        labels=_read_labels(labels, what=f"{what}: labels"),
        options=_read_mapping(options, what=f"{what}: options"),
        metadata=_read_mapping(metadata, what=f"{what}: metadata"),
        context=context or ContextRecord(),
        signatures=signature_records,
    )
    objects = _read_mapping(custom_objects, what=f"{what}: custom_objects")
    pickles = [
        (CUSTOM_OBJECTS_FILE, "custom_objects", objects),
        (SAMPLES_FILE, "samples", samples),
    ]
    with store.create(record) as path:
        for file, argument, values in pickles:
            if values:
                pickling.dump(
                    values,
                    path / file,
                    what=f"{what}: {argument}",
                    external_modules=external_modules,
                )
        yield ModelDraft(info=record, path=path)


def _read_mapping(value: Mapping[str, Any] | None, *, what: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or any(not isinstance(key, str) for key in value):
        raise ConfigError(f"{what}: give a dict whose keys are text, not {value!r:.80}")
    return dict(value)


def _read_labels(labels: Mapping[str, Any] | None, *, what: str) -> dict[str, str]:
    """Return labels as text; numbers and booleans become text."""
    read = _read_mapping(labels, what=what)
    for key, value in read.items():
        if not isinstance(value, str | int | float):
            raise ConfigError(
                f"{what}: the label {key!r} is a {type(value).__name__}; labels are "
                "short texts, put anything else in metadata"
            )
        read[key] = str(value)
    return read


def read_signatures(
    signatures: Signatures, *, what: str
) -> tuple[dict[str, SignatureRecord], dict[str, tuple[Any, ...]]]:
    """Return the signatures and the samples by method.

    Args:
        signatures: As given to `save_model`.
        what: The model, for the message.

    Raises:
        ConfigError: If a name, a key or a value is wrong.
    """
    records = {}
    samples = {}
    for method, given in _read_mapping(signatures, what=f"{what}: signatures").items():
        where = f"{what}, signature {method!r}"
        if not method.isidentifier() or method in _TAKEN:
            raise ConfigError(
                f"{where}: a runner cannot have a method of that name; save an object "
                "of a class that wraps the model under another method name"
            )
        options = _read_mapping(given, what=where)
        for key in options:
            if key not in _KEYS:
                near = difflib.get_close_matches(key, _KEYS, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {_KEYS}"
                raise ConfigError(f"{where}: unknown key {key!r}; {hint}")
        batchable = options.get("batchable", False)
        if not isinstance(batchable, bool):
            raise ConfigError(
                f"{where}: batchable is {batchable!r}; give True or False"
            )
        records[method] = SignatureRecord(
            batchable=batchable,
            batch_dim=batch_dims(options.get("batch_dim", 0), where=where),
            input_spec=options.get("input_spec"),
            output_spec=options.get("output_spec"),
        )
        sample = options.get("sample")
        if sample is not None:
            samples[method] = sample if isinstance(sample, tuple) else (sample,)
            _check_sample(samples[method], records[method], where=where)
    return records, samples


def _check_sample(
    args: tuple[Any, ...], signature: SignatureRecord, *, where: str
) -> None:
    """Refuse a batchable method's sample unless it is one row."""
    axis = signature.batch_dim[0]
    for value in args if signature.batchable else ():
        shape = getattr(value, "shape", None)
        if shape is None and isinstance(value, list):
            shape = (len(value),)
        rows = shape[axis] if shape is not None and axis < len(shape) else None
        if rows != 1:
            found = "no rows" if rows is None else f"{rows} rows"
            raise ConfigError(
                f"{where}: its sample has {found} along axis {axis}; give an array of "
                "one row, as in `sample=X[:1]`"
            )


def check_methods(model: Any, methods: Mapping[str, Any], *, what: str) -> None:
    """Refuse signatures of methods that the model does not have.

    Raises:
        ConfigError: If the model lacks one of the methods.
    """
    for method in methods:
        found = model if method == "__call__" else getattr(model, method, None)
        if callable(found):
            continue
        public = _public_methods(model)
        near = difflib.get_close_matches(method, public, n=3)
        hints = list(dict.fromkeys([*near, *(n for n in _USUAL if n in public)]))
        example = (hints or ["predict"])[0]
        raise ConfigError(
            f"{what}: {type(model).__name__} has no method {method!r}; name one of its "
            f'methods, as in `signatures={{"{example}": {{"batchable": True}}}}` '
            f"(it has {', '.join(hints or public[:5]) or 'no public method'})"
        )


def _public_methods(model: Any) -> list[str]:
    """Return the names of the public methods, without computing properties."""
    return [
        name
        for name in dir(model)
        if not name.startswith("_")
        and not isinstance(inspect.getattr_static(model, name, None), property)
        # An attribute may be missing on the instance, such as predict_proba of an SVC.
        and callable(getattr(model, name, None))
    ]
