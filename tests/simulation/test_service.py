"""Models take as long as they are described to, and as their outcomes say."""

from random import Random

import pytest
from benchmarks.simulation.service import (
    Affine,
    Drifting,
    HeavyTailed,
    Stalling,
    Stepwise,
)

from tests.simulation.cases import CONSTANT, SMALL, Service


@pytest.mark.parametrize(
    ("service", "seconds"),
    [
        pytest.param(SMALL, [1.1e-3, 1.8e-3, 1.9e-3], id="affine"),
        pytest.param(
            Stepwise(base_s=1e-3, step_s=2e-3, step_rows=8),
            [3e-3, 3e-3, 5e-3],
            id="stepwise",
        ),
        pytest.param(HeavyTailed(of=CONSTANT, sigma=0.5), [4e-3] * 3, id="lognormal"),
        pytest.param(
            Stalling(of=CONSTANT, share=0.1, factor=5.0), [5.6e-3] * 3, id="stalling"
        ),
    ],
)
def test_means_are_those_of_samples_and_outcomes(
    service: Service, seconds: list[float]
) -> None:
    random = Random(1)
    for rows, expected in zip((1, 8, 9), seconds, strict=True):
        assert service.mean_s(rows) == pytest.approx(expected)
        outcomes = service.outcomes(rows)
        assert sum(share for _, share in outcomes) == pytest.approx(1.0)
        assert sum(s * share for s, share in outcomes) == pytest.approx(expected)
        samples = [service.sample_s(rows, 0.0, random) for _ in range(20_000)]
        # A standard error is 1% of the mean at the most.
        assert sum(samples) / len(samples) == pytest.approx(expected, rel=0.04)


def test_outcomes_have_the_variance_of_the_lognormal() -> None:
    service = HeavyTailed(of=Affine(base_s=1.0, row_s=0.0), sigma=0.4)
    square = sum(seconds**2 * share for seconds, share in service.outcomes(1))
    assert square == pytest.approx(2.718281828**0.16, rel=1e-6)


def test_a_drift_is_over_when_it_ends() -> None:
    service = Drifting(of=CONSTANT, factor=4.0, begin_s=1.0, end_s=2.0)
    random = Random(1)
    seconds = [service.sample_s(1, now, random) for now in (0.5, 1.0, 1.9, 2.0)]
    assert seconds == pytest.approx([4e-3, 16e-3, 16e-3, 4e-3])
