"""Headway serves Python models under heavy traffic; these are its public names.

Each name is imported when it is first used, so that `import headway` costs nothing and
an API worker never imports a model's framework. `headway.xgboost` and its like are
Headway's own modules for that framework, not the framework.
"""

import importlib
from typing import TYPE_CHECKING, Any

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
    from headway.server.asgi_app import asgi_app as asgi_app
    from headway.server.service_app import Service as Service
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

_MODULES = {
    "errors": "headway.errors",
    "io": "headway.io",
    "models": "headway.models",
    "picklable_model": "headway.picklable_model",
    "sklearn": "headway.sklearn",
    "xgboost": "headway.xgboost",
}
_HOMES = {
    "Context": "headway.service.context",
    "Model": "headway.models.model",
    "Runnable": "headway.service.runnable",
    "Runner": "headway.service.runner",
    "Service": "headway.server.service_app",
    "Tag": "headway.models.record",
    "asgi_app": "headway.server.asgi_app",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name in _MODULES:
        value: Any = importlib.import_module(_MODULES[name])
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'headway' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported yet or not."""
    return sorted({*globals(), *__all__})
