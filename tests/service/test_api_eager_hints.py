"""Descriptors derived from type hints that are objects."""

# mypy: disable-error-code="empty-body"

from typing import Annotated, Any

import numpy as np
import pytest

from headway.errors import ConfigError
from headway.io import JSON, NumpyNdarray, Text
from headway.service.api import derive_input, derive_output, parameters_of
from headway.service.context import Context


class Strange:
    """A class that JSON cannot be decoded to."""


def test_hints_that_are_objects_give_descriptors() -> None:
    def function(value: str, ctx: Context) -> list[float]: ...

    assert isinstance(derive_input(function), Text)
    assert isinstance(derive_output(function), JSON)
    assert parameters_of(function)[1]


def test_annotated_descriptor_is_used_and_notes_are_ignored() -> None:
    given = NumpyNdarray(shape=(-1, 4))

    def function(
        value: Annotated[np.ndarray[Any, Any], given],
    ) -> Annotated[str, 1]: ...

    assert derive_input(function) is given
    assert isinstance(derive_output(function), Text)


def test_unsupported_class_is_named() -> None:
    def function(value: Strange) -> None: ...

    with pytest.raises(ConfigError, match="Strange"):
        derive_input(function)
