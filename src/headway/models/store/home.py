"""Opens the user's model store: `$HEADWAY_HOME/models`.

models, frameworks/ and the CLI call it.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from headway.errors import ConfigError
from headway.models.store.store import ModelStore
from headway.models.store.version_lock import PINS_VARIABLE, Pins

__all__ = ["open_store"]


def open_store(environ: Mapping[str, str] = os.environ) -> ModelStore:
    """Return the store in `$HEADWAY_HOME`, `~/.headway` if that is not set.

    Raises:
        ConfigError: If there is no home directory to put it in.
    """
    try:
        home = Path(environ.get("HEADWAY_HOME") or "~/.headway").expanduser()
    except RuntimeError as error:
        raise ConfigError(
            f"no directory for models: {error}; set HEADWAY_HOME"
        ) from error
    pins = environ.get(PINS_VARIABLE)
    return ModelStore(
        home.absolute() / "models", pins=Pins(Path(pins)) if pins else None
    )
