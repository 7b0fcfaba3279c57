"""JSON: validation by pydantic and msgspec, errors, documentation."""

import dataclasses
import json
from contextlib import suppress
from typing import Any, TypedDict

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, field_validator
from pydantic import dataclasses as pydantic_dataclasses

from headway.errors import (
    BadInputError,
    ConfigError,
    OutputError,
    UnsupportedMediaTypeError,
)
from headway.io import JSON


class Job(BaseModel):
    title: str
    years: int | None = None


class Application(BaseModel):
    seniority: int = Field(gt=0)
    job: Job
    tags: list[str] = []

    @field_validator("tags")
    @classmethod
    def few(cls, tags: list[str]) -> list[str]:
        if len(tags) > 2:
            raise ValueError("at most 2 tags")
        return tags


class Row(msgspec.Struct):
    seniority: int
    home: str = "rent"


@dataclasses.dataclass
class Node:
    value: int
    children: "list[Node]" = dataclasses.field(default_factory=list)


@pydantic_dataclasses.dataclass
class Checked:
    value: int = Field(gt=0)


class Options(TypedDict):
    depth: int


@dataclasses.dataclass
class Unservable:
    values: np.ndarray[Any, Any]


_DESCRIPTORS = [
    JSON(),
    JSON(pydantic_model=Application),
    JSON(pydantic_model=list[Application]),
    JSON(pydantic_model=Application, validate_json=False),
    JSON(msgspec_type=Row),
    JSON(msgspec_type=dict[str, Node]),
    JSON.of_type(Node),
    JSON.of_type(Checked),
    JSON.of_type(Options | None),
]


def test_json_without_a_type_decodes_to_plain_values() -> None:
    body = b'{"a": [1, 2.5, "x", null, true]}'
    for content_type in (None, "application/json", "application/json; charset=UTF-8"):
        assert JSON().decode(body, content_type) == {"a": [1, 2.5, "x", None, True]}


def test_pydantic_type_decodes_to_the_model() -> None:
    application = JSON(pydantic_model=Application).decode(
        b'{"seniority": 3, "job": {"title": "clerk"}}', None
    )
    assert application == Application(seniority=3, job=Job(title="clerk"))


def test_pydantic_errors_name_every_field_and_reason() -> None:
    with pytest.raises(BadInputError) as caught:
        JSON(pydantic_model=list[Application]).decode(
            b'[{"seniority": -1, "job": {"years": "x"}, "tags": ["a", "b", "c"]}]', None
        )
    message = caught.value.message
    assert "[0].seniority: Input should be greater than 0" in message
    assert "[0].job.title: Field required" in message
    assert "[0].job.years: Input should be a valid integer" in message
    assert "[0].tags: Value error, at most 2 tags" in message


def test_pydantic_errors_are_limited_in_number() -> None:
    body = json.dumps([{}] * 1000).encode()
    with pytest.raises(BadInputError, match="and 1980 more") as caught:
        JSON(pydantic_model=list[Application]).decode(body, None)
    assert len(caught.value.message) < 5000


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"seniority": "x"}', "Expected `int`, got `str` - at `$.seniority`"),
        (b"{}", "missing required field `seniority`"),
        (b"[]", "Expected `object`, got `array`"),
    ],
)
def test_msgspec_errors_name_the_place_and_reason(body: bytes, message: str) -> None:
    with pytest.raises(BadInputError) as caught:
        JSON(msgspec_type=Row).decode(body, None)
    assert message in caught.value.message


@pytest.mark.parametrize("descriptor", _DESCRIPTORS)
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty"),
        (b"{", "malformed"),
        (b'{"a": 1,}', "malformed|does not fit"),
        (b"\xff\xfe", "malformed"),
        (b'{"\xff": 1}', "malformed|does not fit"),
        (b"[" * 100_000, "nested too deeply|does not fit|malformed"),
        (b"NaN", "malformed|does not fit"),
        (b"1" * 5000, "malformed|does not fit|out of range"),
    ],
)
def test_malformed_json_is_refused(descriptor: JSON, body: bytes, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        descriptor.decode(body, "application/json")


@pytest.mark.parametrize("descriptor", _DESCRIPTORS)
@given(body=st.binary() | st.text().map(str.encode), header=st.none() | st.text())
def test_random_bodies_raise_only_client_errors(
    descriptor: JSON, body: bytes, header: str | None
) -> None:
    with suppress(BadInputError, UnsupportedMediaTypeError):
        descriptor.decode(body, header)


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["seniority", "job", "tags", "title", "value", "children"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("descriptor", _DESCRIPTORS)
@given(value=_values)
def test_random_json_raises_only_bad_input(descriptor: JSON, value: Any) -> None:
    with suppress(BadInputError):
        descriptor.decode(json.dumps(value).encode(), None)


@given(
    st.builds(
        Application,
        seniority=st.integers(min_value=1),
        job=st.builds(Job, title=st.text(st.characters(exclude_categories=["Cs"]))),
        tags=st.lists(st.sampled_from(["a", "b"]), max_size=2),
    )
)
def test_pydantic_models_round_trip(application: Application) -> None:
    descriptor = JSON(pydantic_model=Application)
    content_type, body = descriptor.encode(application, None)
    assert descriptor.decode(body, content_type) == application


_nodes = st.recursive(
    st.builds(Node, value=st.integers(-(2**63), 2**63 - 1)),
    lambda inner: st.builds(
        Node, value=st.integers(0, 9), children=st.lists(inner, max_size=3)
    ),
    max_leaves=10,
)


@given(_nodes)
def test_dataclasses_round_trip(node: Node) -> None:
    descriptor = JSON.of_type(Node)
    content_type, body = descriptor.encode(node, "*/*")
    assert descriptor.decode(body, content_type) == node


def test_pydantic_dataclasses_are_validated() -> None:
    assert JSON.of_type(Checked).decode(b'{"value": 1}', None) == Checked(value=1)
    with pytest.raises(BadInputError, match="value: Input should be greater than 0"):
        JSON.of_type(Checked).decode(b'{"value": 0}', None)


def test_union_of_pydantic_models_is_supported() -> None:
    descriptor = JSON.of_type(Job | Application)
    assert descriptor.decode(b'{"title": "clerk"}', None) == Job(title="clerk")


def test_validate_json_false_keeps_the_type_as_documentation() -> None:
    descriptor = JSON(pydantic_model=Application, validate_json=False)
    assert descriptor.decode(b'{"x": 1}', None) == {"x": 1}
    assert "Application" in descriptor.openapi_components()


def test_other_media_types_are_refused() -> None:
    with pytest.raises(UnsupportedMediaTypeError, match="image/png"):
        JSON().decode(b"{}", "image/png")


def test_output_is_json_and_unsupported_values_are_refused() -> None:
    assert JSON().encode({"p": np.float64(0.5)}, "*/*") == (
        "application/json",
        b'{"p":0.5}',
    )
    with pytest.raises(OutputError, match="cannot be encoded as JSON"):
        JSON().encode(object(), None)


def test_custom_json_encoder_is_used() -> None:
    class Encoder(json.JSONEncoder):
        def default(self, o: Any) -> Any:
            return "mine"

    assert JSON(json_encoder=Encoder).encode(object(), None)[1] == b'"mine"'


@pytest.mark.parametrize(
    "arguments",
    [
        {"pydantic_model": Application, "msgspec_type": Row},
        {"msgspec_type": Unservable},
        {"msgspec_type": "Nowhere"},
        {"pydantic_model": Unservable},
    ],
)
def test_unsupported_types_are_config_errors(
    arguments: dict[str, Any],
) -> None:
    with pytest.raises(ConfigError):
        JSON(**arguments)


def test_unsupported_class_is_named() -> None:
    with pytest.raises(ConfigError, match=r"it contains numpy\.ndarray"):
        JSON.of_type(list[Unservable])


def test_samples_give_examples_and_typed_samples_validate() -> None:
    plain = JSON.from_sample({"a": 1, "b": [0.5], "c": {"d": None, "e": True}})
    content = plain.openapi_content()["application/json"]
    assert content["example"] == {"a": 1, "b": [0.5], "c": {"d": None, "e": True}}
    properties = content["schema"]["properties"]
    assert properties["a"] == {"type": "integer"}
    assert properties["b"] == {"type": "array", "items": {"type": "number"}}
    assert properties["c"]["properties"] == {"d": {}, "e": {"type": "boolean"}}
    assert content["schema"]["required"] == ["a", "b", "c"]
    assert plain.decode(b'"anything"', None) == "anything"

    for sample in (Row(seniority=1), Job(title="clerk"), Node(value=1)):
        typed = JSON.from_sample(sample)
        with pytest.raises(BadInputError):
            typed.decode(b'"anything"', None)
        content = typed.openapi_content()["application/json"]
        assert typed.decode(json.dumps(content["example"]).encode(), None) == sample
        assert content["schema"]["$ref"].removeprefix("#/components/schemas/") in (
            typed.openapi_components()
        )


def test_models_without_a_schema_get_an_open_schema() -> None:
    class Opaque(BaseModel, arbitrary_types_allowed=True):
        values: np.ndarray[Any, Any] | None = None

    descriptor = JSON(pydantic_model=Opaque)
    assert descriptor.openapi_content() == {"application/json": {"schema": {}}}
    assert descriptor.openapi_components() == {}
