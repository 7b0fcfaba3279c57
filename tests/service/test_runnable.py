"""What a Runnable declares: its methods, whether they batch, along which axis."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.core.method_spec import MethodSpec, batch_dims
from headway.errors import ConfigError
from headway.service.runnable import Runnable


class Base(Runnable):
    @Runnable.method
    def plain(self, x: Any) -> Any:
        return x

    @Runnable.method(batchable=True, batch_dim=(0, 1), input_spec=1, output_spec=2)
    def batched(self, x: Any) -> Any:
        return x

    def hidden(self, x: Any) -> Any:
        return x


class Derived(Base):
    def plain(self, x: Any) -> Any:
        return [x]

    @Runnable.method(batchable=True, batch_dim=2)
    def batched(self, x: Any) -> Any:
        return x

    @Runnable.method()
    def own(self, x: Any) -> Any:
        return x


def test_marked_methods_are_listed_in_order() -> None:
    assert dict(Base.method_specs()) == {
        "plain": MethodSpec("plain"),
        "batched": MethodSpec("batched", True, (0, 1)),
    }
    assert Runnable.method_specs() == {}


def test_a_sub_class_inherits_and_overrides() -> None:
    assert dict(Derived.method_specs()) == {
        "plain": MethodSpec("plain"),
        "batched": MethodSpec("batched", True, (2, 2)),
        "own": MethodSpec("own"),
    }
    assert Derived().plain(1) == [1]


def test_marking_leaves_the_method_as_it_is() -> None:
    assert Base().plain(1) == 1
    assert Base.plain.__name__ == "plain"


def test_methods_can_be_added_at_run_time() -> None:
    class Made(Runnable):
        factor = 3

    Made.add_method(
        lambda self, x, plus=0: x * self.factor + plus, MethodSpec("score", True)
    )
    assert dict(Made.method_specs()) == {"score": MethodSpec("score", True)}
    made: Any = Made()
    assert made.score(2, plus=1) == 7
    assert Made().warmup_samples() == {}


@given(st.integers(0, 9), st.integers(0, 9))
def test_an_axis_is_for_both_ways_or_a_pair(one: int, other: int) -> None:
    assert batch_dims(one, where="f") == (one, one)
    assert batch_dims((one, other), where="f") == (one, other)


@pytest.mark.parametrize("dim", [-1, 1.5, "0", None, True, (1,), (0, 1, 2), (0, -1)])
def test_an_axis_that_is_none_is_refused(dim: Any) -> None:
    with pytest.raises(ConfigError, match="give an axis"):
        Runnable.method(batch_dim=dim)(lambda self, x: x)
