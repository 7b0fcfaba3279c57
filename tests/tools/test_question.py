"""The body that is sent is the documented sample, wherever that stands."""

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

import headway
from headway.errors import TrafficError
from headway.io import JSON, NumpyNdarray, Text
from headway.io.base import IODescriptor
from headway.tools.sample_request import SampleRequest, sample_of_service


class Flower(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"petals": 5}]})

    petals: int


def service(**inputs: IODescriptor | None) -> headway.Service:
    made = headway.Service("garden")
    for name, descriptor in inputs.items():

        def ask(value: Any) -> Any:
            return value

        made.api(ask, name=name, input=descriptor, output=JSON())
    return made


@pytest.mark.parametrize(
    ("descriptor", "body", "content_type"),
    [
        (JSON.from_sample({"a": 1}), b'{"a":1}', "application/json"),
        (JSON(pydantic_model=Flower), b'{"petals":5}', "application/json"),
        (NumpyNdarray(shape=(-1, 2)), b"[[0.0,0.0]]", "application/json"),
        (Text.from_sample("hello"), b"hello", "text/plain"),
    ],
)
def test_sample_is_what_is_asked(
    descriptor: IODescriptor, body: bytes, content_type: str
) -> None:
    found = sample_of_service(service(ask=descriptor))
    assert found == SampleRequest("/ask", body, content_type)


def test_body_and_route_may_be_given() -> None:
    several = service(ask=JSON(), tell=Text())
    assert sample_of_service(several, route="/tell", body=b"x") == SampleRequest(
        "/tell", b"x", "text/plain"
    )


def test_api_without_a_body_is_asked_without_one() -> None:
    made = headway.Service("garden")

    @made.api(output=JSON())
    def ask() -> int:
        return 1

    assert sample_of_service(made) == SampleRequest("/ask", b"")


@pytest.mark.parametrize(
    ("made", "route", "message"),
    [
        (service(ask=JSON()), None, "/ask has no sample in its documentation: give"),
        (
            service(ask=JSON(), tell=JSON()),
            None,
            "several APIs; name one of /ask, /tell",
        ),
        (service(ask=JSON()), "/tell", "it has no /tell; name one of /ask"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    made: headway.Service, route: str | None, message: str
) -> None:
    with pytest.raises(TrafficError, match=message):
        sample_of_service(made, route=route)
