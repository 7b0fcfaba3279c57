"""`headway.picklable_model`: any object that can be pickled, called as it is.

Users call save_model, get and load_model; it calls models/store/pickling.
"""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from headway.models.frameworks.base import Framework
from headway.models.frameworks.signatures import Signatures
from headway.models.model import Model
from headway.models.store import pickling

__all__ = ["FRAMEWORK", "PicklableFramework", "get", "load_model", "save_model"]

_MODEL_FILE = "saved_model.pkl"


class PicklableFramework(Framework):
    """Pickles the model; sklearn does the same with its own checks."""

    name: ClassVar[str] = "picklable_model"
    package: ClassVar[str] = "cloudpickle"
    distribution: ClassVar[str] = "cloudpickle"
    default_signatures: ClassVar[Signatures] = {"__call__": {"batchable": False}}
    multi_threading: ClassVar[bool] = False

    def check(self, model: Any, *, what: str) -> None:
        """Take anything: whether it pickles shows when it is written."""

    def write(
        self,
        model: Any,
        directory: Path,
        *,
        what: str,
        external_modules: Sequence[ModuleType] | None,
    ) -> None:
        """Pickle the model."""
        pickling.dump(
            model,
            directory / _MODEL_FILE,
            what=what,
            external_modules=external_modules,
        )

    def read(self, model: Model) -> Any:
        """Unpickle the model, once its sum is verified."""
        return pickling.load(model.path_of(_MODEL_FILE), what=f"model {model.tag}")


FRAMEWORK = PicklableFramework()
save_model = FRAMEWORK.save_model
get = FRAMEWORK.get
load_model = FRAMEWORK.load_model
