"""The configuration that the tuner writes is valid and commented."""

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from headway.tools.tune.grid import Choice, Grid, with_keys
from headway.tools.tune.trial import Trial
from headway.tools.tune.tuned_file import choice_comments, render

words = st.from_regex(r"[a-z0-9][-._/a-z0-9]{0,8}", fullmatch=True)
scalars = st.one_of(
    st.text(max_size=200),
    st.integers(),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False),
)
documents = st.recursive(
    st.dictionaries(words, scalars | st.lists(scalars, max_size=3), max_size=3),
    lambda inner: st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)


@given(
    documents, st.dictionaries(st.tuples(words), st.lists(st.just("why")), max_size=3)
)
def test_written_document_is_read_back(
    document: dict[str, Any], comments: dict[tuple[str, ...], list[str]]
) -> None:
    assert (yaml.safe_load(render(document, comments)) or {}) == document


def test_comments_are_above_their_keys() -> None:
    text = render({"a": {"b": 1, "c": [1, 2]}}, {("a", "c"): ["one", "two"]})
    assert text == "a:\n  b: 1\n  # one\n  # two\n  c: [1, 2]\n"


def test_keys_are_added_to_existing_ones() -> None:
    document = {"api_server": {"port": 1}, "runners": None}
    made = with_keys(document, {("api_server", "workers"): 2, ("runners", "a", "b"): 3})
    assert made == {"api_server": {"port": 1, "workers": 2}, "runners": {"a": {"b": 3}}}
    assert document == {"api_server": {"port": 1}, "runners": None}


def test_comment_has_the_results_of_all_values() -> None:
    grid = Grid(
        (
            Choice(what="workers", values=(2, 1)),
            Choice(what="max_batch_size", values=(100, 25, 400), runner="m"),
            Choice(what="threads", values=(1, 2), runner="m"),
            Choice(what="replicas", values=(1, 2), runner="m"),
        ),
        cores=2,
    )
    found = Trial(setting=(2, 100, 1, 1), per_s=18_200, kept=True, p99_ms=20)
    trials = [
        found,
        Trial(setting=(1, 100, 1, 1), per_s=11_900, kept=True, p99_ms=20),
        Trial(setting=(2, 400, 1, 1), per_s=19_000, kept=False, p99_ms=75.2),
        Trial(setting=(2, 25, 1, 2), per_s=9_000, kept=False, failed=0.25),
        Trial(setting=(2, 100, 2, 1), per_s=0, kept=False, problem="no memory"),
    ]
    comments = choice_comments(grid, trials, found)
    assert comments["api_server", "workers"] == [
        "2 API workers: 18,200/s",
        "1 API worker: kept 11,900/s",
    ]
    base = ("runners", "m")
    assert comments[(*base, "batching", "max_batch_size")] == [
        "batches up to 100: 18,200/s",
        "batches up to 25: did not keep 9,000/s with other choices changed as well: "
        "25.0% failed",
        "batches up to 400: did not keep 19,000/s: p99 75 ms",
    ]
    assert comments[(*base, "resources", "cpu")] == [
        "1 thread: 18,200/s",
        "2 threads: skipped: no memory",
    ]
    assert comments[(*base, "workers_per_resource")] == [
        "1 replica: 18,200/s",
        "2 replicas: did not keep 9,000/s with other choices changed as well: "
        "25.0% failed",
    ]
    assert grid.keys((1, 25, 2, 2)) == {
        ("api_server", "workers"): 1,
        (*base, "batching", "max_batch_size"): 25,
        (*base, "resources", "cpu"): 4,
        (*base, "workers_per_resource"): 2,
    }
    assert grid.excess((1, 25, 2, 2))
    assert not grid.excess((1, 25, 1, 2))
