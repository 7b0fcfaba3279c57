"""Facts about the machine in a report."""

import os

import pytest

from headway.core.version import __version__
from headway.tools.report.document import surroundings


def test_facts_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/bin/headway", "tune", "a b", "\udc80"])
    facts = dict(surroundings())
    assert facts["Command"] == "headway tune 'a b' '?'"
    assert facts["Cores"] == str(len(os.sched_getaffinity(0)))
    assert facts["Headway"] == __version__
    assert facts["Memory"].endswith(" GiB")
    assert {"Date", "Processor", "System", "Python", "numpy"} <= facts.keys()
    assert all(facts.values())
