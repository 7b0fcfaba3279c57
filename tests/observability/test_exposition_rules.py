"""The rules for a page of metrics find what they are there to find."""

import pytest

from tests.observability.exposition_rules import counted, faults

GOOD = """\
# HELP a_requests_total Requests.
# TYPE a_requests_total counter
a_requests_total{code="200"} 3.0
a_requests_total{code="500"} 1.0
# HELP a_wait_seconds Waits.
# TYPE a_wait_seconds histogram
a_wait_seconds_bucket{le="0.1"} 1.0
a_wait_seconds_bucket{le="+Inf"} 2.0
a_wait_seconds_count 2.0
a_wait_seconds_sum 5.0
# HELP a_rows Rows.
# TYPE a_rows gauge
a_rows -1.0
"""


def test_a_good_page() -> None:
    assert faults(GOOD) == []
    assert faults("") == []
    values = counted(GOOD)
    assert values["a_requests_total", frozenset({("code", "200")})] == 3
    assert len(values) == 6
    assert not any(name == "a_rows" for name, _ in values)


@pytest.mark.parametrize(
    ("good", "bad", "fault"),
    [
        ('{code="200"}', '{code="200}', "does not parse"),
        ('code="500"', 'code="200"', "a_requests_total has a series twice"),
        ("# HELP a_rows Rows.\n", "", "a_rows has no help before its type"),
        ("# HELP a_rows Rows.", "# HELP a_rows ", "a_rows has no help"),
        ("# TYPE a_rows gauge\n", "", "a_rows is in the block of a_wait_seconds"),
        ("a_rows gauge", "a_rows untyped", "a_rows is of the kind unknown"),
        ("a_requests_total", "a_requests", "a_requests is a counter without _total"),
        ("a_rows", "a_rows_total", "ends as a counter and is none"),
        ("a_rows", "a_gauge", "a_gauge is no good name"),
        ("a_wait_seconds", "a_wait_ms", "a_wait_ms is no good name"),
        ("a_wait_seconds", "aWait_seconds", "aWait_seconds is no good name"),
        ("code=", "Code=", "Code is no good name of a label"),
        ("code=", "le=", "a_requests has the label of a histogram's buckets"),
        ('{code="200"} 3.0', '{code="200"} -3.0', "a_requests_total is -3.0"),
        ('{code="200"} 3.0', '{code="200"} NaN', "a_requests_total is nan"),
        ('a_wait_seconds_bucket{le="+Inf"} 2.0\n', "", "no last bucket for all"),
        ("a_wait_seconds_count 2.0", "a_wait_seconds_count 3.0", "counts other than"),
        ("a_wait_seconds_sum 5.0\n", "", "has no sum"),
        ('{le="0.1"} 1.0', '{le="0.1"} 3.0', "has buckets that do not add up"),
        (
            "# TYPE a_wait_seconds histogram\n",
            '# TYPE a_wait_seconds histogram\na_wait_seconds_bucket{le="0.5"} 0.0\n',
            "has bounds that do not rise",
        ),
        ("a_rows -1.0\n", "a_rows -1.0", "the last line does not end"),
        ("# HELP a_rows", "# HELP a_requests_total", "a_requests_total has two blocks"),
    ],
)
def test_faults_are_found(good: str, bad: str, fault: str) -> None:
    assert good in GOOD
    assert any(fault in found for found in faults(GOOD.replace(good, bad)))
