"""A tuning job, and the state file with its trials.

cli/tune builds the job. tuner saves the state after each trial, so that the same
command resumes after Ctrl-C or a crash.
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
from headway.tools.sample_request import SampleRequest
from headway.tools.tune.grid import Grid
from headway.tools.tune.probe import Target
from headway.tools.tune.trial import Trial


class TuneState(msgspec.Struct, frozen=True, kw_only=True):
    """Content of the state file."""

    fingerprint: str
    """Identifies the service, the target and the grid; other trials are discarded."""
    trials: list[Trial] = []


class TuneJob(msgspec.Struct, frozen=True, kw_only=True):
    """What to tune."""

    service: str
    working_dir: Path
    document: Mapping[str, Any]
    """Content of the configuration file; the choices are added to it."""
    grid: Grid
    sample: SampleRequest
    target: Target
    state_file: Path
    state: TuneState = TuneState(fingerprint="")


def fingerprint(service: ServiceDefinition, job: TuneJob) -> str:
    """Return a fingerprint that changes if earlier trials are no longer valid.

    Args:
        service: The loaded service; the current content of its modules counts.
        job: What to tune.
    """
    parts = (job.sample, job.target.p99_ms, job.grid, job.document)
    digest = hashlib.sha256(msgspec.json.encode(parts))
    for model in [*service.models, *(m for r in service.runners for m in r.models)]:
        digest.update(str(getattr(model, "tag", "")).encode())
    root = job.working_dir.resolve()
    files = {getattr(module, "__file__", None) for module in sys.modules.values()}
    for name in sorted(file for file in files if file):
        path = Path(name)
        if path.is_relative_to(root) and "site-packages" not in path.parts:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def resume(service: ServiceDefinition, job: TuneJob) -> TuneJob:
    """Return a job with the trials of its state file, if they are still valid.

    Raises:
        TrafficError: If the file was not written by the tuner.
    """
    state = load_state(job.state_file, fingerprint(service, job))
    return msgspec.structs.replace(job, state=state)


def load_state(path: Path, fingerprint: str) -> TuneState:
    """Return the state in a file; an empty state if the fingerprint differs.

    Raises:
        TrafficError: If the file was not written by the tuner.
    """
    try:
        state = msgspec.json.decode(path.read_bytes(), type=TuneState)
    except FileNotFoundError:
        return TuneState(fingerprint=fingerprint)
    except (msgspec.MsgspecError, UnicodeDecodeError, OSError) as error:
        raise TrafficError(
            f"{path} is not a state file of the tuner: {error}; remove it, or name "
            "another file with --state"
        ) from error
    if state.fingerprint != fingerprint:
        return TuneState(fingerprint=fingerprint)
    return state


def save_state(path: Path, state: TuneState) -> None:
    """Write a state file atomically.

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
