"""`headway.xgboost`: boosters and the estimators of the xgboost package.

Users call save_model, get and load_model. Models are saved in xgboost's own format,
which later versions of it can read.
"""

import json
import math
import os
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from headway.errors import ConfigError, StoreError
from headway.models.draft import ModelDraft, Signatures
from headway.models.frameworks.base import Framework
from headway.models.model import Model
from headway.models.pickling import Modules

_MODEL_FILE = "saved_model.ubj"
# Constructor arguments that change predictions but are not in the file.
_KEPT_PARAMETERS = ("missing", "enable_categorical")


class XGBoostFramework(Framework):
    """Booster, XGBClassifier, XGBRegressor and similar classes."""

    name: ClassVar[str] = "xgboost"
    package: ClassVar[str] = "xgboost"
    distribution: ClassVar[str] = "xgboost"
    default_signatures: ClassVar[Signatures] = {"predict": {"batchable": False}}

    def check(self, model: Any, *, what: str) -> None:
        """Refuse objects that are not of xgboost's own classes."""
        import xgboost

        kind = type(model)
        if issubclass(kind, xgboost.Booster):
            return
        own = getattr(xgboost, kind.__name__, None) is kind
        if not own or not hasattr(model, "get_booster"):
            raise ConfigError(
                f"{what}: headway.xgboost saves a Booster, XGBClassifier, XGBRegressor "
                f"and similar, not {kind.__name__}; save it with "
                "headway.sklearn.save_model or headway.picklable_model.save_model"
            )
        if not model.__sklearn_is_fitted__():
            raise ConfigError(f"{what}: this {kind.__name__} is not fitted yet")

    def options(self, model: Any) -> dict[str, Any]:
        """Return the class and the parameters that are not in the file."""
        import xgboost

        if isinstance(model, xgboost.Booster):
            return {"class": "Booster"}
        given = model.get_params(deep=False)
        kept = {key: given[key] for key in _KEPT_PARAMETERS if given.get(key)}
        if isinstance(kept.get("missing"), float) and math.isnan(kept["missing"]):
            del kept["missing"]  # the default
        return {"class": type(model).__name__, "parameters": kept}

    def write(self, model: Any, draft: ModelDraft, modules: Modules) -> None:
        """Write the model in xgboost's binary format."""
        model.save_model(draft.path_of(_MODEL_FILE))

    def read(self, model: Model) -> Any:
        """Load the model, with as many threads as the runner may use."""
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
        """Let a Booster's `predict` accept arrays, as the estimators' does."""
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
    """Return OMP_NUM_THREADS for the outermost level, if it is set."""
    first = text.partition(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else None


class BoosterPredict:
    """A Booster's `predict` on arrays, sparse matrices and data frames.

    It returns the same as `booster.predict(DMatrix(data))`, and uses the faster
    in-place prediction if that is exact. Infinite values, which a DMatrix refuses,
    count as larger than every split.

    Args:
        booster: The loaded booster.
    """

    def __init__(self, booster: Any) -> None:
        import xgboost

        self._booster = booster
        self._matrix_type = xgboost.DMatrix
        # Arrays have no feature names, and a booster trained with names would refuse
        # them, so they get the names of training.
        self._names = booster.feature_names
        self._types = booster.feature_types
        config = json.loads(booster.save_config())
        kind = config["learner"]["gradient_booster"]["name"]
        # In place, dart sums its trees in another order, and gblinear is unsupported.
        self._in_place = kind == "gbtree"

    def __call__(self, data: Any, **options: Any) -> Any:
        """Predict each row of the data.

        Args:
            data: Array, nested list, scipy sparse matrix or data frame.
            options: Those of `Booster.predict`.
        """
        if hasattr(data, "columns"):
            return self._booster.predict(self._framed(data), **options)
        data = _sparse(data) if hasattr(data, "tocsr") else np.asarray(data)
        if self._in_place and not options and _is_plain(data):
            return self._booster.inplace_predict(data, validate_features=False)
        matrix = self._matrix_type(
            data,
            feature_names=self._names,
            feature_types=self._types,
            enable_categorical=True,
        )
        return self._booster.predict(matrix, **options)

    def _framed(self, frame: Any) -> Any:
        columns = [str(column) for column in frame.columns]
        names = self._names
        if names and columns != names and sorted(columns) == sorted(names):
            frame = frame[names]  # in the order of training
        matrix = self._matrix_type(frame, enable_categorical=True)
        if not names:
            matrix.feature_names = None  # trained on arrays: match by position
            matrix.feature_types = None
        return matrix


def _sparse(data: Any) -> Any:
    """Return the only sparse container that xgboost can predict in place."""
    import scipy.sparse

    if type(data) is scipy.sparse.csr_matrix:
        return data
    return scipy.sparse.csr_matrix(data)


def _is_plain(data: Any) -> bool:
    if data.ndim != 2:
        return False
    dtype = data.dtype
    return dtype.kind in "fiub" and dtype.itemsize <= 8


FRAMEWORK = XGBoostFramework()
save_model = FRAMEWORK.save_model
get = FRAMEWORK.get
load_model = FRAMEWORK.load_model
