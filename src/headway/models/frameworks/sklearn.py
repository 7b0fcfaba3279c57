"""`headway.sklearn`: scikit-learn estimators, and objects with the same methods.

Users call save_model, get and load_model; it pickles as picklable_model does.
"""

import importlib.util
from typing import Any, ClassVar

import numpy as np

from headway.errors import ConfigError
from headway.models.draft import Signatures
from headway.models.frameworks.picklable_model import PicklableFramework


class SklearnFramework(PicklableFramework):
    """Estimators, pipelines, transformers."""

    name: ClassVar[str] = "sklearn"
    package: ClassVar[str] = "sklearn"
    distribution: ClassVar[str] = "scikit-learn"
    default_signatures: ClassVar[Signatures] = {"predict": {"batchable": False}}
    multi_threading: ClassVar[bool] = True

    def check(self, model: Any, *, what: str) -> None:
        """Refuse anything but estimators, such as a class or an xgboost.Booster."""
        if isinstance(model, type) or not hasattr(model, "fit"):
            kind = model.__name__ if isinstance(model, type) else type(model).__name__
            found = f"the class {kind}" if isinstance(model, type) else f"a {kind}"
            raise ConfigError(
                f"{what}: headway.sklearn saves fitted estimators, not {found}; save "
                "other objects with headway.picklable_model.save_model"
            )

    def zero_row(self, loaded: Any) -> Any:
        """Return zeros with the width that the estimator was fitted with, if known.

        An estimator fitted with a data frame gets a data frame, because it warns about
        anything else.
        """
        width = getattr(loaded, "n_features_in_", None)
        if not isinstance(width, int):
            return None
        zeros = np.zeros((1, width))
        names = getattr(loaded, "feature_names_in_", None)
        if names is None or importlib.util.find_spec("pandas") is None:
            return zeros
        import pandas as pd

        return pd.DataFrame(zeros, columns=names)


FRAMEWORK = SklearnFramework()
save_model = FRAMEWORK.save_model
get = FRAMEWORK.get
load_model = FRAMEWORK.load_model
