"""Which requests are traced, by configuration, caller and OpenTelemetry's variables."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import ConfigError
from headway.observability.trace_context import (
    Sampling,
    SpanIds,
    TraceParent,
    sampling_of,
)

RECORDED = TraceParent(SpanIds(2**127 + 2**63, 1), True)
UNRECORDED = TraceParent(SpanIds(2**127 + 2**63, 1), False)


@given(ratio=st.floats(0, 1))
def test_the_caller_decides(ratio: float) -> None:
    sampling = sampling_of(ratio, {"OTEL_TRACES_SAMPLER": "always_off"})
    assert sampling.takes(RECORDED)
    assert not sampling.takes(UNRECORDED)


def test_a_share_of_the_other_requests_is_sampled() -> None:
    chance = random.Random(7).random
    sampling = Sampling(ratio=0.25, chance=chance)
    taken = sum(sampling.takes(None) for _ in range(10_000))
    assert 2300 < taken < 2700
    assert all(Sampling(ratio=1.0).takes(None) for _ in range(100))
    assert not any(Sampling(ratio=0.0).takes(None) for _ in range(100))


@pytest.mark.parametrize(
    ("name", "argument", "taken"),
    [
        # alone, of a caller that records, of one that does not
        pytest.param("", "", (True, True, False), id="default"),
        pytest.param("always_on", "", (True, True, True), id="on"),
        pytest.param("always_off", "", (False, False, False), id="off"),
        pytest.param(
            "parentbased_always_off", "", (False, True, False), id="parent-off"
        ),
        pytest.param("parentbased_always_on", "", (True, True, False), id="parent-on"),
        pytest.param("traceidratio", "0.51", (None, True, True), id="ratio-above"),
        pytest.param("traceidratio", "0.49", (None, False, False), id="ratio-below"),
        pytest.param(
            "parentbased_traceidratio", "0", (False, True, False), id="parent"
        ),
        pytest.param("TraceIdRatio", "", (True, True, True), id="no-argument"),
    ],
)
def test_opentelemetry_variables_set_the_sampling(
    name: str, argument: str, taken: tuple[bool | None, bool, bool]
) -> None:
    environ = {"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": argument}
    sampling = sampling_of(None, environ)
    alone, recorded, unrecorded = taken
    assert alone is None or sampling.takes(None) == alone
    assert sampling.takes(RECORDED) == recorded
    assert sampling.takes(UNRECORDED) == unrecorded


@pytest.mark.parametrize("argument", ["-0.1", "1.1", "nan", "half"])
def test_an_invalid_share_raises(argument: str) -> None:
    environ = {
        "OTEL_TRACES_SAMPLER": "traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": argument,
    }
    with pytest.raises(ConfigError, match=r"OTEL_TRACES_SAMPLER_ARG.*from 0 to 1"):
        sampling_of(None, environ)
