"""The stages of a walk: how the service is served, and the figures measured.

walk serves them one after the other; walk_report shows the figures.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from headway.tools.tune.grid import KeyPath, with_keys

# HEADWAY_ is the prefix of configuration variables.
SERVICE_VARIABLE = "HW_WALK_SERVICE"
FOLDER_VARIABLE = "HW_WALK_FOLDER"
_INLINE = "headway.tools.walk.inline:svc"


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One way to serve the service."""

    name: str
    what: str
    """What is new, in one line."""
    service: str
    document: Mapping[str, Any]
    """Content of its configuration file."""
    environment: Mapping[str, str] = {}


class StepFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What the users measured since all were spawned."""

    users: int
    rps: float
    p50_ms: float
    p99_ms: float
    failures: int


# The JSON of `--json` keeps the key "rungs".
class StageFigures(msgspec.Struct, kw_only=True, rename={"steps": "rungs"}):
    """Measurements of a stage, as far as it ran."""

    name: str
    what: str
    steps: list[StepFigures] = []
    limit_per_s: float | None = None
    """Highest open-loop rate within the target; 0: no rate is."""
    livez_p99_ms: float | None = None
    """p99 of /livez during the last load step."""
    problem: str = ""


def plain_stages(
    service: str, folder: Path, document: Mapping[str, Any], cores: int
) -> list[Stage]:
    """Return all stages except the tuned one.

    Args:
        service: `module:svc`.
        folder: Folder of the service.
        document: Content of the user's configuration file.
        cores: Cores of the machine: API workers, from the third stage on.
    """
    # A service without runners must not configure any.
    without = {key: value for key, value in document.items() if key != "runners"}
    environment = {SERVICE_VARIABLE: service, FOLDER_VARIABLE: str(folder)}
    alone: KeyPath = ("api_server", "workers")
    threads: KeyPath = ("api_server", "threads")
    return [
        Stage(
            name="sync",
            what="one process; each request computes alone and blocks all others",
            service=_INLINE,
            document=with_keys(without, {alone: 1, threads: 1}),
            environment=environment,
        ),
        Stage(
            name="async",
            what="the model in its own process; one API worker awaits it",
            service=service,
            document=_unbatched(with_keys(document, {alone: 1})),
        ),
        Stage(
            name="workers",
            what=f"{cores} processes, each with a copy of the model",
            service=_INLINE,
            document=with_keys(without, {alone: cores, threads: 1}),
            environment=environment,
        ),
        Stage(
            name="batching",
            what="one shared copy of the model, with batches from all workers",
            service=service,
            document=document,
        ),
    ]


def _unbatched(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration with batching off for every runner."""
    keys: dict[KeyPath, int] = {("runners", "batching", "enabled"): False}
    for name, section in (document.get("runners") or {}).items():
        if isinstance(section, Mapping) and isinstance(
            section.get("batching"), Mapping
        ):
            keys["runners", name, "batching", "enabled"] = False
    return with_keys(document, keys)
