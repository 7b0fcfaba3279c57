"""Facts about the machine in a report."""

import os

from headway.core.version import __version__
from headway.tools.report.document import surroundings


def test_facts_of_this_machine() -> None:
    facts = dict(surroundings(["headway", "tune", "a b", "\udc80"]))
    assert facts["Command"] == "headway tune 'a b' '?'"
    assert facts["Cores"] == str(len(os.sched_getaffinity(0)))
    assert facts["Headway"] == __version__
    assert facts["Memory"].endswith(" GiB")
    assert {"Date", "Processor", "System", "Python", "numpy"} <= facts.keys()
    assert all(facts.values())
