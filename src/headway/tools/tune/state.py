"""The tuner's state file: all trials, so that it can go on after Ctrl-C or a crash.

tuner reads it at the start and writes it after each trial.
"""

import hashlib
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from headway.errors import TrafficError
from headway.service.service import ServiceDefinition
from headway.tools.sample_request import Question
from headway.tools.tune.grid import Grid
from headway.tools.tune.trial import Trial

__all__ = ["State", "fingerprint", "load", "save"]


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of what."""

    fingerprint: str
    """Of the service, the target and the grid; trials of another are of no use."""
    trials: list[Trial] = []


def fingerprint(
    *,
    service: ServiceDefinition,
    folder: Path,
    question: Question,
    target_ms: float,
    grid: Grid,
    document: Mapping[str, Any],
) -> str:
    """Return what differs if trials that were made before are of no use.

    Args:
        service: Imported already.
        folder: Of its modules, which are looked at as they are now.
        question: What is asked.
        target_ms: The latency to keep.
        grid: What there is to choose.
        document: Content of the configuration that the choices are added to.
    """
    parts = (question, target_ms, grid, document)
    digest = hashlib.sha256(msgspec.json.encode(parts))
    for model in [*service.models, *(m for r in service.runners for m in r.models)]:
        digest.update(str(getattr(model, "tag", "")).encode())
    root = folder.resolve()
    files = {getattr(module, "__file__", None) for module in sys.modules.values()}
    for name in sorted(file for file in files if file):
        path = Path(name)
        if path.is_relative_to(root) and "site-packages" not in path.parts:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def load(path: Path, fingerprint: str) -> State:
    """Return the state in a file; one without trials if it is of something else.

    Raises:
        TrafficError: If there is a file that no tuner wrote.
    """
    try:
        state = msgspec.json.decode(path.read_bytes(), type=State)
    except FileNotFoundError:
        return State(fingerprint=fingerprint)
    except (msgspec.MsgspecError, UnicodeDecodeError, OSError) as error:
        raise TrafficError(
            f"{path} is no state of the tuner: {error}; remove it, or name another "
            "file with --state"
        ) from error
    if state.fingerprint != fingerprint:
        return State(fingerprint=fingerprint)
    return state


def save(path: Path, state: State) -> None:
    """Write it, whole or not at all.

    Raises:
        TrafficError: If the file cannot be written.
    """
    try:
        file, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with os.fdopen(file, "wb") as made:
            made.write(msgspec.json.format(msgspec.json.encode(state), indent=1))
        os.replace(name, path)
    except OSError as error:
        raise TrafficError(f"{path}: cannot be written: {error.strerror}") from error
