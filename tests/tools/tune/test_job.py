"""A job resumes only from trials that are still valid."""

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headway.errors import TrafficError
from headway.service.loader import load_service
from headway.tools.sample_request import SampleRequest
from headway.tools.tune.grid import Choice, Grid
from headway.tools.tune.job import (
    TuneJob,
    TuneState,
    fingerprint,
    load_state,
    save_state,
)
from headway.tools.tune.probe import Target
from headway.tools.tune.trial import Trial

TRIAL = Trial(setting=(2, 100), per_s=0.1 + 0.2, kept=True, p99_ms=None)
MODULE = "import headway\nsvc = headway.Service('tuned')\n"


def test_saved_state_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    save_state(file, TuneState(fingerprint="a", trials=[TRIAL]))
    assert load_state(file, "a").trials == [TRIAL]
    assert load_state(file, "b") == TuneState(fingerprint="b")
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_foreign_state_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_text("[]")
    with pytest.raises(
        TrafficError, match=r"is not a state file of the tuner: .* --state"
    ):
        load_state(file, "a")
    with pytest.raises(TrafficError, match="cannot be written"):
        save_state(tmp_path / "nowhere" / "state.json", TuneState(fingerprint="a"))


def test_fingerprint_depends_on_code_and_job(tmp_path: Path) -> None:
    file = tmp_path / "tuned_service.py"
    file.write_text(MODULE)
    service = load_service("tuned_service:svc", tmp_path)
    job = TuneJob(
        service="tuned_service:svc",
        working_dir=tmp_path,
        document={},
        grid=Grid((Choice(what="workers", values=(2, 1)),), cores=2),
        sample=SampleRequest("/ask", b"1"),
        target=Target(p99_ms=50.0),
        state_file=tmp_path / "state.json",
    )
    changes: list[dict[str, Any]] = [
        {"sample": SampleRequest("/ask", b"2")},
        {"target": Target(p99_ms=60.0)},
        {"grid": msgspec.structs.replace(job.grid, cores=4)},
        {"document": {"api_server": {"timeout": 1}}},
    ]
    try:
        first = fingerprint(service, job)
        assert fingerprint(service, job) == first
        others = [
            fingerprint(service, msgspec.structs.replace(job, **change))
            for change in changes
        ]
        file.write_text(MODULE + "# changed\n")
        assert len({first, *others, fingerprint(service, job)}) == 6
    finally:
        sys.path.remove(str(tmp_path))
        del sys.modules["tuned_service"]
