"""As test_derive, with hints that are objects rather than strings."""

# mypy: disable-error-code="empty-body"

from typing import Annotated, Any

import numpy as np
import pytest

from headway.errors import ConfigError
from headway.io import JSON, NumpyNdarray, Text
from headway.service.context import Context
from headway.service.derive import derive_input, derive_output, takes_context


class Strange:
    """Nothing that JSON could be made into."""


def test_hints_as_objects() -> None:
    def function(value: str, ctx: Context) -> list[float]: ...

    assert isinstance(derive_input(function), Text)
    assert isinstance(derive_output(function), JSON)
    assert takes_context(function)


def test_annotated_descriptors_and_notes() -> None:
    given = NumpyNdarray(shape=(-1, 4))

    def function(
        value: Annotated[np.ndarray[Any, Any], given],
    ) -> Annotated[str, 1]: ...

    assert derive_input(function) is given
    assert isinstance(derive_output(function), Text)


def test_a_strange_class_is_named() -> None:
    def function(value: Strange) -> None: ...

    with pytest.raises(ConfigError, match="Strange"):
        derive_input(function)
