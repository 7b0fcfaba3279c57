"""Headway serves Python models under heavy traffic; these are its public names.

Each name is imported on first use, so that `import headway` is cheap and an API worker
never imports a model's framework. `headway.xgboost` and similar are Headway's own
modules for a framework, not the framework.
"""

import importlib
from typing import TYPE_CHECKING, Any

from headway.core.missing_frameworks import (
    MISSING_FRAMEWORKS,
    install_finder,
    missing_framework,
)
from headway.core.version import __version__

if TYPE_CHECKING:
    from headway import errors as errors
    from headway import io as io
    from headway import models as models
    from headway import picklable_model as picklable_model
    from headway import sklearn as sklearn
    from headway import xgboost as xgboost
    from headway.models.model import Model as Model
    from headway.models.record import Tag as Tag
    from headway.server.asgi_app import Service as Service
    from headway.server.asgi_app import asgi_app as asgi_app
    from headway.service.context import Context as Context
    from headway.service.runnable import Runnable as Runnable
    from headway.service.runner import Runner as Runner

__all__ = [
    "Context",
    "Model",
    "Runnable",
    "Runner",
    "Service",
    "Tag",
    "__version__",
    "asgi_app",
    "errors",
    "io",
    "models",
    "picklable_model",
    "sklearn",
    "xgboost",
]

_MODULES = ("errors", "io", "models", "picklable_model", "sklearn", "xgboost")
_HOMES = {
    "Context": "headway.service.context",
    "Model": "headway.models.model",
    "Runnable": "headway.service.runnable",
    "Runner": "headway.service.runner",
    "Service": "headway.server.asgi_app",
    "Tag": "headway.models.record",
    "asgi_app": "headway.server.asgi_app",
}
install_finder()


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used.

    Raises:
        MissingFrameworkError: If it is a framework without a module. This is not an
            AttributeError, so hasattr raises it too instead of hiding its advice.
    """
    if name in _MODULES:
        value: Any = importlib.import_module(f"headway.{name}")
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    elif name in MISSING_FRAMEWORKS:
        raise missing_framework(name)
    else:
        raise AttributeError(f"module 'headway' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported yet or not."""
    return sorted({*globals(), *__all__})
