"""Finds the framework that saved a model by the module in its record.

models calls it. Importing it imports no framework: Headway's modules for them do not.
"""

from headway.models.frameworks import picklable_model, sklearn, xgboost
from headway.models.frameworks.base import Framework

__all__ = ["framework_of"]

_FRAMEWORKS: dict[str, Framework] = {
    framework.module: framework
    for framework in (picklable_model.FRAMEWORK, sklearn.FRAMEWORK, xgboost.FRAMEWORK)
}


def framework_of(module: str) -> Framework | None:
    """Return the framework, or None if the user saved the model in his own way."""
    return _FRAMEWORKS.get(module)
