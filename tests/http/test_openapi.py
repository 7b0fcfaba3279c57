import dataclasses
import json
import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from headway.errors import OutputError
from headway.http.openapi import build_openapi
from headway.io import JSON, IODescriptor, NumpyNdarray, Text
from headway.service.service import ServiceDefinition

Json = dict[str, Any]


class Job(BaseModel):
    title: str


class Application(BaseModel):
    seniority: int = Field(gt=0)
    job: Job | None = None


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Owner(BaseModel):
    pet: Cat | Dog = Field(discriminator="kind")


@dataclasses.dataclass
class Decision:
    status: str
    reasons: "list[Decision]"


class Struct(msgspec.Struct):
    x: int


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _references(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value
            elif key == "mapping":
                yield from value.values()
            else:
                yield from _references(value)


def _resolve(document: Json, reference: str) -> Any:
    assert reference.startswith("#/")
    node: Any = document
    for step in reference.removeprefix("#/").split("/"):
        node = node[step]
    return node


def _check(document: Json) -> None:
    """Check what OpenAPI 3.1 asks for and a reader relies on."""
    json.dumps(document)
    assert document["openapi"] == "3.1.0"
    assert document["info"].keys() >= {"title", "version"}
    for reference in _references(document):
        _resolve(document, reference)
    for name in (*document["components"]["schemas"], *document["components"]):
        assert re.fullmatch(r"[A-Za-z0-9._-]+", name)
    operations = [
        operation
        for path, item in document["paths"].items()
        for operation in item.values()
        if path.startswith("/")
    ]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    tags = {tag["name"] for tag in document["tags"]}
    for operation in operations:
        assert set(operation["tags"]) <= tags
        assert operation["summary"]
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5]\d\d", status)
            if "$ref" in response:
                response = _resolve(document, response["$ref"])
            assert response["description"]


def _service(**apis: dict[str, IODescriptor]) -> ServiceDefinition:
    service = ServiceDefinition("credit")
    for name, descriptors in apis.items():
        service.api(
            _function,
            name=name,
            input=descriptors["input"],
            output=descriptors["output"],
        )
    return service


def _function(value: Any) -> Any: ...


def test_an_operation_has_all_that_a_client_asks() -> None:
    service = ServiceDefinition("credit")

    async def classify(application: Application) -> Decision:
        """Decide on an application.

        With **reasons**.
        """
        raise OutputError("never called")

    service.api(
        classify,
        input=JSON.from_sample(Application(seniority=3)),
        route="/v1/classify",
    )
    document = build_openapi(service, "1.2.3")
    _check(document)
    assert document["info"] == {"title": "credit", "version": "1.2.3"}
    operation = document["paths"]["/v1/classify"]["post"]
    assert operation["operationId"] == "classify"
    assert operation["summary"] == "Decide on an application."
    assert operation["description"] == "With **reasons**."
    body = operation["requestBody"]
    assert body["required"] is True
    content = body["content"]["application/json"]
    assert content["schema"] == {"$ref": "#/components/schemas/Application"}
    assert content["example"] == {"seniority": 3, "job": None}
    result = operation["responses"]["200"]["content"]["application/json"]
    assert result["schema"] == {"$ref": "#/components/schemas/Decision"}
    assert {"Application", "Job", "Decision"} <= document["components"][
        "schemas"
    ].keys()
    assert {"400", "413", "415", "429", "500", "503", "504"} < operation[
        "responses"
    ].keys()


def test_errors_share_one_schema_and_overload_says_when_to_retry() -> None:
    document = build_openapi(_service(a={"input": Text(), "output": Text()}), "1")
    _check(document)
    responses = document["components"]["responses"]
    for name, response in responses.items():
        content = response["content"]["application/json"]
        error = _resolve(document, content["schema"]["$ref"])["properties"]["error"]
        assert set(error["required"]) == {"code", "message", "id"}
        assert content["example"]["error"]["code"] == name
        assert set(content["example"]["error"]) == set(error["required"])
    assert "Retry-After" in responses["too_many_requests"]["headers"]
    assert "Retry-After" in responses["overloaded"]["headers"]
    assert "headers" not in responses["bad_input"]


def test_probes_and_metrics_are_described() -> None:
    document = build_openapi(ServiceDefinition("empty"), "1")
    _check(document)
    assert document["paths"].keys() == {"/livez", "/readyz", "/healthz", "/metrics"}
    assert "503" in document["paths"]["/readyz"]["get"]["responses"]


def test_arrays_text_and_no_body() -> None:
    service = ServiceDefinition("mixed")

    @service.api
    def predict(value: npt.NDArray[np.float32]) -> str:
        raise OutputError("never called")

    @service.api
    def version() -> str:
        raise OutputError("never called")

    document = build_openapi(service, "1")
    _check(document)
    operation = document["paths"]["/predict"]["post"]
    assert "application/x-npy" in operation["requestBody"]["content"]
    assert operation["responses"]["200"]["content"].keys() == {"text/plain"}
    assert operation["summary"] == "predict"
    assert "description" not in operation
    assert "requestBody" not in document["paths"]["/version"]["post"]


def test_schemas_of_one_name_are_kept_apart() -> None:
    def other() -> type[BaseModel]:
        class Job(BaseModel):
            salary: float

        class Application(BaseModel):
            job: Job

        return Application

    service = _service(
        a={"input": JSON(pydantic_model=Application), "output": JSON()},
        b={"input": JSON(pydantic_model=other()), "output": JSON()},
        c={"input": JSON(pydantic_model=Application), "output": JSON()},
    )
    document = build_openapi(service, "1")
    _check(document)

    def schema(path: str) -> Json:
        content = document["paths"][path]["post"]["requestBody"]["content"]
        found: Json = _resolve(document, content["application/json"]["schema"]["$ref"])
        return found

    assert schema("/a") is schema("/c")
    assert "seniority" in schema("/a")["properties"]
    assert "seniority" not in schema("/b")["properties"]
    job = _resolve(document, schema("/b")["properties"]["job"]["$ref"])
    assert job["properties"].keys() == {"salary"}


def test_discriminators_follow_a_renamed_schema() -> None:
    class Cat(msgspec.Struct):
        lives: int

    service = _service(
        a={"input": JSON(msgspec_type=Cat), "output": JSON()},
        b={"input": JSON(pydantic_model=Owner), "output": JSON()},
    )
    document = build_openapi(service, "1")
    _check(document)
    owner = document["components"]["schemas"]["Owner"]
    mapping = owner["properties"]["pet"]["discriminator"]["mapping"]
    assert "kind" in _resolve(document, mapping["cat"])["properties"]


def test_fields_may_be_called_as_keywords_are() -> None:
    class Holder(BaseModel):
        default: Job
        example: Job
        mapping: Job

    class Job2(BaseModel):
        other: int

    Job2.__name__ = "Job"
    service = _service(
        a={"input": JSON(pydantic_model=Job2), "output": JSON()},
        b={"input": JSON(pydantic_model=Holder), "output": JSON()},
    )
    document = build_openapi(service, "1")
    properties = document["components"]["schemas"]["Holder"]["properties"]
    for name in ("default", "example", "mapping"):
        schema = _resolve(document, properties[name]["$ref"])
        assert schema["properties"].keys() == {"title"}


def test_examples_are_left_as_they_are() -> None:
    sample = {"$ref": "#/components/schemas/Job", "mapping": {"a": "b"}}
    service = _service(
        a={"input": JSON(pydantic_model=Job), "output": JSON.from_sample(sample)}
    )
    document = build_openapi(service, "1")
    content = document["paths"]["/a"]["post"]["responses"]["200"]["content"]
    assert content["application/json"]["example"] == sample


_DESCRIPTORS = [
    JSON(),
    JSON(pydantic_model=Application),
    JSON(pydantic_model=list[Owner]),
    JSON(msgspec_type=Struct),
    JSON(msgspec_type=dict[str, Decision]),
    JSON.from_sample({"a": [1]}),
    NumpyNdarray(),
    NumpyNdarray("float32", True, (-1, 4), True),
    NumpyNdarray.from_sample(["a"]),
    Text(),
    Text.from_sample("x"),
]


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,8}", fullmatch=True).filter(
            lambda name: name not in ("livez", "readyz", "healthz", "metrics")
        ),
        st.fixed_dictionaries(
            {
                "input": st.sampled_from(_DESCRIPTORS),
                "output": st.sampled_from(_DESCRIPTORS),
            }
        ),
        max_size=6,
    )
)
def test_any_service_gives_a_sound_document(
    apis: dict[str, dict[str, IODescriptor]],
) -> None:
    document = build_openapi(_service(**apis), "1")
    _check(document)
    assert len(document["paths"]) == len(apis) + 4


@pytest.mark.parametrize("descriptor", _DESCRIPTORS)
def test_examples_are_taken_by_the_descriptor_itself(descriptor: IODescriptor) -> None:
    for content_type, content in descriptor.openapi_content().items():
        if "example" in content:
            example = content["example"]
            body = example if content_type == "text/plain" else json.dumps(example)
            descriptor.decode(body.encode(), content_type)
