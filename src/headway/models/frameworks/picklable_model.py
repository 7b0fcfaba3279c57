"""`headway.picklable_model`: any object that can be pickled, called as it is.

Users call save_model, get and load_model; it calls models/pickling.
"""

from typing import Any, ClassVar

from headway.models import pickling
from headway.models.draft import ModelDraft, Signatures
from headway.models.frameworks.base import Framework
from headway.models.model import Model

_MODEL_FILE = "saved_model.pkl"


class PicklableFramework(Framework):
    """Pickles the model; sklearn derives from it."""

    name: ClassVar[str] = "picklable_model"
    package: ClassVar[str] = "cloudpickle"
    distribution: ClassVar[str] = "cloudpickle"
    default_signatures: ClassVar[Signatures] = {"__call__": {"batchable": False}}
    multi_threading: ClassVar[bool] = False

    def check(self, model: Any, *, what: str) -> None:
        """Accept any object; pickling fails if it cannot be saved."""

    def write(self, model: Any, draft: ModelDraft, modules: pickling.Modules) -> None:
        """Pickle the model."""
        path = draft.path_of(_MODEL_FILE)
        what = f"model {draft.tag}"
        pickling.dump(model, path, what=what, external_modules=modules)

    def read(self, model: Model) -> Any:
        """Unpickle the model from its verified file."""
        return pickling.load(model.path_of(_MODEL_FILE), what=f"model {model.tag}")


FRAMEWORK = PicklableFramework()
save_model = FRAMEWORK.save_model
get = FRAMEWORK.get
load_model = FRAMEWORK.load_model
