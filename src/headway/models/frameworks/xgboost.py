"""`headway.xgboost`: boosters and the estimators of the xgboost package.

Users call save_model, get and load_model. Models are saved in xgboost's own format,
which later versions of it read; only load_model and a runner import xgboost.
"""

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from headway.errors import ConfigError, StoreError
from headway.models.frameworks.base import Framework
from headway.models.frameworks.booster import BoosterPredict
from headway.models.frameworks.signatures import Signatures
from headway.models.model import Model

__all__ = ["FRAMEWORK", "get", "load_model", "save_model"]

_MODEL_FILE = "saved_model.ubj"
# Constructor arguments that change predictions and that the file does not hold.
_KEPT_PARAMETERS = ("missing", "enable_categorical")


class XGBoostFramework(Framework):
    """Booster, XGBClassifier, XGBRegressor and their like."""

    name: ClassVar[str] = "xgboost"
    package: ClassVar[str] = "xgboost"
    distribution: ClassVar[str] = "xgboost"
    default_signatures: ClassVar[Signatures] = {"predict": {"batchable": False}}

    def check(self, model: Any, *, what: str) -> None:
        """Refuse what the xgboost package does not make itself."""
        import xgboost

        kind = type(model)
        if not isinstance(model, xgboost.Booster) and (
            not hasattr(model, "get_booster")
            or getattr(xgboost, kind.__name__, None) is not kind
        ):
            raise ConfigError(
                f"{what}: headway.xgboost saves a Booster, XGBClassifier, XGBRegressor "
                f"and the like, not {kind.__name__}; save it with "
                "headway.sklearn.save_model or headway.picklable_model.save_model"
            )
        if not isinstance(model, xgboost.Booster) and not model.__sklearn_is_fitted__():
            raise ConfigError(f"{what}: this {kind.__name__} is not fitted yet")

    def options(self, model: Any) -> dict[str, Any]:
        """Return the class and what its file lacks."""
        import xgboost

        if isinstance(model, xgboost.Booster):
            return {"class": "Booster"}
        given = model.get_params(deep=False)
        kept = {key: given[key] for key in _KEPT_PARAMETERS if given.get(key)}
        if isinstance(kept.get("missing"), float) and math.isnan(kept["missing"]):
            del kept["missing"]  # the default
        return {"class": type(model).__name__, "parameters": kept}

    def write(
        self,
        model: Any,
        directory: Path,
        *,
        what: str,
        external_modules: Sequence[ModuleType] | None,
    ) -> None:
        """Write the model in xgboost's binary format."""
        model.save_model(directory / _MODEL_FILE)

    def read(self, model: Model) -> Any:
        """Load the model with as many threads as the runner may use."""
        import xgboost

        options = model.info.options
        kind = getattr(xgboost, str(options.get("class")), None)
        if kind is None:
            raise StoreError(
                f"model {model.tag} is an xgboost.{options.get('class')}, which "
                f"xgboost {xgboost.__version__} does not have; install the version "
                f"that saved it: {model.info.context.framework_versions}"
            )
        loaded = kind(**options.get("parameters", {}))
        try:
            loaded.load_model(model.path_of(_MODEL_FILE))
        except xgboost.core.XGBoostError as error:
            reason = str(error).partition("\n")[0]
            raise StoreError(
                f"model {model.tag} cannot be loaded by xgboost {xgboost.__version__}: "
                f"{reason}; saved with {model.info.context.framework_versions}"
            ) from error
        threads = _threads(os.environ.get("OMP_NUM_THREADS", ""))
        if threads is not None:
            if not isinstance(loaded, xgboost.Booster):
                loaded.set_params(n_jobs=threads)
            _booster(loaded).set_param({"nthread": threads})
        return loaded

    def bind(self, loaded: Any, method: str) -> Callable[..., Any]:
        """Let a Booster's `predict` take arrays; the estimators do so themselves."""
        import xgboost

        if isinstance(loaded, xgboost.Booster) and method == "predict":
            return BoosterPredict(loaded)
        return super().bind(loaded, method)

    def zero_row(self, loaded: Any) -> Any:
        """Return zeros of the booster's width."""
        return np.zeros((1, _booster(loaded).num_features()), np.float32)


def _booster(loaded: Any) -> Any:
    return loaded.get_booster() if hasattr(loaded, "get_booster") else loaded


def _threads(text: str) -> int | None:
    """Return what OMP_NUM_THREADS says for the outermost level, if anything."""
    first = text.partition(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else None


FRAMEWORK = XGBoostFramework()
save_model = FRAMEWORK.save_model
get = FRAMEWORK.get
load_model = FRAMEWORK.load_model
