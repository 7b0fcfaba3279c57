"""A report says what it was measured with."""

import os

from headway.core.version import __version__
from headway.tools.report.document import surroundings


def test_surroundings_of_this_process() -> None:
    facts = dict(surroundings(["headway", "tune", "a b", "\udc80"]))
    assert facts["Command"] == "headway tune 'a b' '?'"
    assert facts["Cores"] == str(len(os.sched_getaffinity(0)))
    assert facts["Headway"] == __version__
    assert facts["Memory"].endswith(" GiB")
    assert {"Date", "Processor", "System", "Python", "numpy"} <= facts.keys()
    assert all(facts.values())
