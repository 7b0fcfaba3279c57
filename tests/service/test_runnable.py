"""Runnables: marked methods, batching and its axis."""

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


def test_subclass_inherits_and_overrides_methods() -> None:
    assert dict(Derived.method_specs()) == {
        "plain": MethodSpec("plain"),
        "batched": MethodSpec("batched", True, (2, 2)),
        "own": MethodSpec("own"),
    }
    assert Derived().plain(1) == [1]
    assert Derived().warmup_samples() == {}


def test_marked_method_stays_callable() -> None:
    assert Base().plain(1) == 1
    assert Base.plain.__name__ == "plain"


@given(st.integers(0, 9), st.integers(0, 9))
def test_batch_dim_is_one_axis_or_a_pair(one: int, other: int) -> None:
    assert batch_dims(one, where="f") == (one, one)
    assert batch_dims((one, other), where="f") == (one, other)


@pytest.mark.parametrize("dim", [-1, 1.5, "0", None, True, (1,), (0, 1, 2), (0, -1)])
def test_invalid_batch_dim_is_refused(dim: Any) -> None:
    with pytest.raises(ConfigError, match="give an axis"):
        Runnable.method(batch_dim=dim)(lambda self, x: x)
