"""The stages of the walk: how the same service is served, from plain to tuned.

walk serves them one after the other.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from headway.tools.tune.grid import KeyPath, with_keys

__all__ = ["FOLDER_VARIABLE", "SERVICE_VARIABLE", "Stage", "plain_stages"]

# Not with the prefix of the configuration's variables.
SERVICE_VARIABLE = "HW_WALK_SERVICE"
FOLDER_VARIABLE = "HW_WALK_FOLDER"
_INLINE = "headway.tools.walk.inline:svc"


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One way to serve the service."""

    name: str
    what: str
    """Says what is new, in a line."""
    service: str
    document: Mapping[str, Any]
    """Content of its configuration file."""
    environment: Mapping[str, str] = {}


def plain_stages(
    service: str, folder: Path, document: Mapping[str, Any], cores: int
) -> list[Stage]:
    """Return all stages but the tuned one.

    Args:
        service: `module:svc`.
        folder: Where it is.
        document: Content of the user's configuration file.
        cores: Of the machine: API workers, from the third stage on.
    """
    # Without runners, the configuration has nothing to say about them.
    without = {key: value for key, value in document.items() if key != "runners"}
    environment = {SERVICE_VARIABLE: service, FOLDER_VARIABLE: str(folder)}
    alone: KeyPath = ("api_server", "workers")
    threads: KeyPath = ("api_server", "threads")
    return [
        Stage(
            name="sync",
            what="one process; a request computes alone and blocks all others",
            service=_INLINE,
            document=with_keys(without, {alone: 1, threads: 1}),
            environment=environment,
        ),
        Stage(
            name="async",
            what="the model in a process of its own; one API worker awaits it",
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
            what="one shared copy of the model, all workers' requests in its batches",
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
