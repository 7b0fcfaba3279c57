"""An xgboost.Booster's `predict` on arrays, sparse matrices and data frames.

models/frameworks/xgboost binds it in a runner process; it imports xgboost when it is
made.
"""

import json
from typing import Any

import numpy as np

__all__ = ["BoosterPredict"]


class BoosterPredict:
    """Predicts as `booster.predict(DMatrix(data))`, faster where that is exact.

    Infinite values, which a DMatrix refuses, count as larger than every split.

    Args:
        booster: The loaded booster.
    """

    def __init__(self, booster: Any) -> None:
        import xgboost

        self._booster = booster
        self._matrix_type = xgboost.DMatrix
        # A runner's arrays carry no names; those of training are as good as any, and
        # without them a booster that has names would refuse the array.
        self._names = booster.feature_names
        self._types = booster.feature_types
        config = json.loads(booster.save_config())
        kind = config["learner"]["gradient_booster"]["name"]
        # dart adds its trees up in another order in place; gblinear cannot do it.
        self._in_place = kind == "gbtree"

    def __call__(self, data: Any, **options: Any) -> Any:
        """Predict each row of the data.

        Args:
            data: Array, nested list, scipy sparse matrix or data frame.
            options: As those of `Booster.predict`.
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
            frame = frame[names]  # by name, in the order of training
        matrix = self._matrix_type(frame, enable_categorical=True)
        if not names:
            matrix.feature_names = None  # trained on arrays: columns go by position
            matrix.feature_types = None
        return matrix


def _sparse(data: Any) -> Any:
    """Return the one sparse container that xgboost reads in place."""
    import scipy.sparse

    if type(data) is scipy.sparse.csr_matrix:
        return data
    return scipy.sparse.csr_matrix(data)


def _is_plain(data: Any) -> bool:
    if data.ndim != 2:
        return False
    dtype = data.dtype
    return dtype.kind in "fiub" and dtype.itemsize <= 8
