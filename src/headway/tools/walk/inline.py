"""A service without runners: each API worker has its own copy of the models.

The walk's stages `sync` and `workers` serve it with `headway serve`, which is why it is
a module of its own. Environment variables name the user's service.
"""

import os
from pathlib import Path

from headway.service.loader import load_service
from headway.service.service import ServiceDefinition
from headway.tools.walk.stage import FOLDER_VARIABLE, SERVICE_VARIABLE


def _inline(original: ServiceDefinition) -> ServiceDefinition:
    """Return a service with the same APIs, whose runners compute in the API worker."""
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
