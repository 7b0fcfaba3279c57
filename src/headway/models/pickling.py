"""Pickles a user's objects so that another process can load them.

draft, model and frameworks/ call it for models, samples and custom objects.
"""

import contextlib
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from headway.errors import ConfigError, MissingExtraError, StoreError

Modules = Sequence[ModuleType] | None

# Where Headway's public classes used to be; pickles in older stores name these modules.
_FORMER_MODULES = {
    "headway.asgi": "headway.server.asgi_app",
    "headway.context": "headway.service.context",
    "headway.model": "headway.models.model",
    "headway.runnable": "headway.service.runnable",
    "headway.runner_handle": "headway.service.runner",
    "headway.service_app": "headway.server.asgi_app",
    "headway.signature": "headway.core.method_spec",
    "headway.store.record": "headway.models.record",
    "headway.store.tag": "headway.models.record",
}


def dump(
    value: Any,
    path: Path,
    *,
    what: str,
    external_modules: Modules = None,
) -> None:
    """Pickle an object to a file.

    Args:
        value: The object; functions and classes of `__main__` are saved by value.
        path: The file.
        what: Names the object in messages.
        external_modules: Modules whose functions and classes are saved by value too.

    Raises:
        MissingExtraError: If cloudpickle is not installed.
        ConfigError: If the object or a module cannot be pickled.
    """
    try:
        import cloudpickle
    except ImportError as error:
        raise MissingExtraError(
            "saving objects needs cloudpickle: pip install 'headway[picklable]'"
        ) from error
    with _by_value(cloudpickle, external_modules or ()), path.open("wb") as file:
        try:
            cloudpickle.dump(value, file, protocol=5)
        except OSError:
            raise
        # Pickling runs the object's own code, which may raise any error.
        except Exception as error:
            raise ConfigError(
                f"{what} cannot be pickled: {type(error).__name__}: {error}; remove "
                "open files, connections and locks from it"
            ) from error


@contextlib.contextmanager
def _by_value(cloudpickle: Any, modules: Sequence[ModuleType]) -> Iterator[None]:
    before = cloudpickle.list_registry_pickle_by_value()
    with contextlib.ExitStack() as stack:
        for module in modules:
            if not isinstance(module, ModuleType):
                raise ConfigError(
                    f"external_modules contains {module!r}; give modules, as in "
                    "`external_modules=[my_module]`"
                )
            if module.__name__ not in before:
                cloudpickle.register_pickle_by_value(module)
                stack.callback(cloudpickle.unregister_pickle_by_value, module)
        yield


def load(path: Path, *, what: str) -> Any:
    """Load a pickled object from a verified file.

    Args:
        path: The file.
        what: Names the object in messages.

    Raises:
        StoreError: If this process lacks a module or class that the object needs.
    """
    try:
        with path.open("rb") as file:
            return _Unpickler(file).load()
    except ModuleNotFoundError as error:
        raise StoreError(
            f"{what} needs the module {error.name!r}, which cannot be imported here: "
            "install its package, start in its folder, or save again with "
            f"`external_modules=[{(error.name or 'module').partition('.')[0]}]`"
        ) from error
    # Unpickling runs arbitrary code, which may raise any error.
    except Exception as error:
        raise StoreError(
            f"{what} cannot be loaded: {type(error).__name__}: {error}; compare the "
            "installed versions with the ones that saved it"
        ) from error


class _Unpickler(pickle.Unpickler):
    """Finds Headway's classes by the modules in which they used to be, too."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        module = _FORMER_MODULES.get(module_name, module_name)
        return super().find_class(module, global_name)
