"""The state goes on only with what it was measured of."""

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headway.errors import TrafficError
from headway.service.loader import load_service
from headway.tools.sample_request import Question
from headway.tools.tune.grid import Choice, Grid
from headway.tools.tune.state import State, fingerprint, load, save
from headway.tools.tune.trial import Trial

TRIAL = Trial(setting=(2, 100), per_s=0.1 + 0.2, kept=True, p99_ms=None)
MODULE = "import headway\nsvc = headway.Service('tuned')\n"


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    save(file, State(fingerprint="a", trials=[TRIAL]))
    assert load(file, "a").trials == [TRIAL]
    assert load(file, "b") == State(fingerprint="b")
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_text("[]")
    with pytest.raises(TrafficError, match=r"is no state of the tuner: .* --state"):
        load(file, "a")
    with pytest.raises(TrafficError, match="cannot be written"):
        save(tmp_path / "nowhere" / "state.json", State(fingerprint="a"))


def test_fingerprint_follows_the_code_and_what_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "tuned_service.py"
    file.write_text(MODULE)
    known: dict[str, Any] = {
        "service": load_service("tuned_service:svc", tmp_path),
        "folder": tmp_path,
        "question": Question("/ask", b"1"),
        "target_ms": 50.0,
        "grid": Grid((Choice(what="workers", values=(2, 1)),), cores=2),
        "document": {},
    }
    try:
        first = fingerprint(**known)
        assert fingerprint(**known) == first
        others = [
            fingerprint(**{**known, name: value})
            for name, value in (
                ("question", Question("/ask", b"2")),
                ("target_ms", 60.0),
                ("grid", msgspec.structs.replace(known["grid"], cores=4)),
                ("document", {"api_server": {"timeout": 1}}),
            )
        ]
        file.write_text(MODULE + "# changed\n")
        assert len({first, *others, fingerprint(**known)}) == 6
    finally:
        sys.path.remove(str(tmp_path))
        del sys.modules["tuned_service"]
