"""`headway.models`: the models in `$HEADWAY_HOME`, whichever framework saved them.

The functions are those of `library`, imported on first use: a process that only needs
the store pays for no framework module.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headway.models.library import create as create
    from headway.models.library import delete as delete
    from headway.models.library import export_model as export_model
    from headway.models.library import get as get
    from headway.models.library import import_model as import_model
    from headway.models.library import list as list  # noqa: A004 - the surface

__all__ = ["create", "delete", "export_model", "get", "import_model", "list"]


def __getattr__(name: str) -> Any:
    """Import a public function on first use."""
    if name not in __all__:
        raise AttributeError(f"module 'headway.models' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.library"), name)
    return value
