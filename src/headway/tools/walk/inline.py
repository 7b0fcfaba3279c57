"""A service without runners: each API worker has a copy of the models and waits for it.

The main object of the walk's first stages; variables name the user's service, which
stays as it is.
"""

import os
from pathlib import Path

from headway.service.loader import load_service
from headway.service.service import ServiceDefinition
from headway.tools.walk.stage import FOLDER_VARIABLE, SERVICE_VARIABLE

__all__ = ["svc"]


def _inline(original: ServiceDefinition) -> ServiceDefinition:
    """Return the same APIs, whose runners compute where they are called."""
    made = ServiceDefinition(original.name)
    made.apis = original.apis
    # Only in the workers: the process that describes the service needs no model.
    made.startup_hooks = [
        *(runner.init_local for runner in original.runners),
        *original.startup_hooks,
    ]
    made.shutdown_hooks = original.shutdown_hooks
    return made


svc = _inline(
    load_service(os.environ[SERVICE_VARIABLE], Path(os.environ[FOLDER_VARIABLE]))
)
