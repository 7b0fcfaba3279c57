"""Load steps and durations on the command line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import TrafficError
from headway.tools.options import LoadStep, parse_ladder


@pytest.mark.parametrize("text", ["", "50", "0/5", "5/0", "a/b", "5/5,", "999999/1"])
def test_malformed_ladder_is_refused(text: str) -> None:
    with pytest.raises(
        TrafficError, match="is not a ladder: write users/users per second"
    ):
        parse_ladder(text)


def test_ladder_is_parsed() -> None:
    assert parse_ladder("50/10, 200/0.5") == (LoadStep(50, 10), LoadStep(200, 0.5))


@given(
    st.lists(
        st.builds(LoadStep, st.integers(1, 100_000), st.integers(1, 100_000)),
        min_size=1,
    )
)
def test_ladder_round_trip(steps: list[LoadStep]) -> None:
    text = ",".join(f"{step.users}/{step.spawn_per_s}" for step in steps)
    assert parse_ladder(text) == tuple(steps)
