"""Reads the `signatures` of a model that is being saved.

frameworks/ and models.create call it; mistakes surface at the save, not in the server.
"""

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

from headway.core.method_spec import batch_dims
from headway.errors import ConfigError
from headway.models.draft import read_mapping
from headway.models.store.record import SignatureRecord
from headway.service.runnable import Runnable
from headway.service.runner import Runner

__all__ = ["Signatures", "check_methods", "read_signatures"]

Signatures = Mapping[str, Mapping[str, Any]]
_KEYS = ("batchable", "batch_dim", "input_spec", "output_spec", "sample")
_USUAL = ("predict", "predict_proba", "transform", "generate")
# What `runner.NAME` already means, except where the meaning is the same.
_TAKEN = ({*dir(Runner), *dir(Runnable)} | {"name", "methods", "models", "options"}) - {
    "__call__",
    "run",
    "async_run",
}


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
    for method, given in read_mapping(signatures, what=f"{what}: signatures").items():
        where = f"{what}, signature {method!r}"
        if not method.isidentifier() or method in _TAKEN:
            raise ConfigError(
                f"{where}: a runner cannot have a method of that name; wrap the model "
                "in a class with another one and save that"
            )
        options = read_mapping(given, what=where)
        for key in options:
            if key not in _KEYS:
                near = difflib.get_close_matches(key, _KEYS, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {_KEYS}"
                raise ConfigError(f"{where}: unknown key {key!r}; {hint}")
        sample = options.pop("sample", None)
        records[method] = _record(options, where=where)
        if sample is not None:
            args = sample if isinstance(sample, tuple) else (sample,)
            _check_sample(args, records[method], where=where)
            samples[method] = args
    return records, samples


def _record(options: dict[str, Any], *, where: str) -> SignatureRecord:
    batchable = options.get("batchable", False)
    if not isinstance(batchable, bool):
        raise ConfigError(f"{where}: batchable is {batchable!r}; give True or False")
    return SignatureRecord(
        batchable=batchable,
        batch_dim=batch_dims(options.get("batch_dim", 0), where=where),
        input_spec=options.get("input_spec"),
        output_spec=options.get("output_spec"),
    )


def _check_sample(
    args: tuple[Any, ...], signature: SignatureRecord, *, where: str
) -> None:
    """Refuse a batchable method's sample that is not one row."""
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
        if not callable(found):
            has = _methods(model)
            near = difflib.get_close_matches(method, has, n=3)
            hints = list(dict.fromkeys([*near, *(n for n in _USUAL if n in has)]))
            example = (hints or ["predict"])[0]
            raise ConfigError(
                f"{what}: {type(model).__name__} has no method {method!r}; name the "
                f'one to call, as in `signatures={{"{example}": {{"batchable": True}}'
                f"}}` (it has {', '.join(hints or has[:5]) or 'no public method'})"
            )


def _methods(model: Any) -> list[str]:
    """Return the public methods, without computing properties."""
    return [
        name
        for name in dir(model)
        if not name.startswith("_")
        and not isinstance(inspect.getattr_static(model, name, None), property)
        # One may be there by name only, as predict_proba of some SVC.
        and callable(getattr(model, name, None))
    ]
