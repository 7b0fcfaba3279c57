"""The service as an OpenAPI 3.1 document, for /docs.json.

api/pages builds it once at start, from the service's descriptors.
"""

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import msgspec

from headway.errors import (
    BadInputError,
    BodyTooLargeError,
    DeadlineExceededError,
    HeadwayError,
    ModelCallError,
    OverloadedError,
    TooManyRequestsError,
    UnsupportedMediaTypeError,
)
from headway.service.api import Api
from headway.service.service import ServiceDefinition

Json = dict[str, Any]
_SCHEMAS = "#/components/schemas/"
_RESPONSES = "#/components/responses/"
_ERROR_SCHEMA = "HeadwayError"
_API_TAG = "API"

# By status: the error of the example, its description, whether it has Retry-After.
_ERRORS: dict[str, tuple[type[HeadwayError], str, bool]] = {
    "400": (BadInputError, "The body is not what this API takes.", False),
    "413": (BodyTooLargeError, "The body is larger than the server takes.", False),
    "415": (UnsupportedMediaTypeError, "The Content-Type is none it takes.", False),
    "429": (TooManyRequestsError, "Too many requests are being served.", True),
    "500": (ModelCallError, "The model or the API function failed.", False),
    "503": (OverloadedError, "Overloaded, starting or draining: try again.", True),
    "504": (DeadlineExceededError, "The request's deadline passed.", False),
}
_STATIC = files("headway.http") / "assets" / "openapi.json"
"""What all services have: operations, headers of requests, the schema of errors."""


def build_openapi(service: ServiceDefinition, version: str) -> Json:
    """Return the OpenAPI 3.1 document of a service.

    Args:
        service: With all its APIs registered.
        version: Shown as the document's version.
    """
    static = msgspec.json.decode(_STATIC.read_bytes())
    schemas: Json = static["components"]["schemas"]
    paths: Json = {}
    for api in service.apis.values():
        operation = _operation(api, schemas)
        paths[api.route] = {"post": {**operation, "parameters": static["parameters"]}}
    return {
        "openapi": "3.1.0",
        "info": {"title": service.name, "version": version},
        # Relative, so that it holds behind a proxy that adds a prefix.
        "servers": [{"url": "."}],
        "tags": static["tags"],
        "paths": paths | static["paths"],
        "components": {
            "schemas": schemas,
            "responses": _error_responses(static["retry_after"]),
        },
    }


def _operation(api: Api, schemas: Json) -> Json:
    summary, _, description = api.doc.strip().partition("\n")
    operation: Json = {
        "operationId": api.name,
        "tags": [_API_TAG],
        "summary": summary or api.name.replace("_", " "),
        "responses": {
            "200": {
                "description": "The result.",
                "content": _merged(
                    api.output.openapi_content(),
                    api.output.openapi_components(),
                    schemas,
                ),
            }
        },
    }
    if description.strip():
        operation["description"] = description.strip()
    content = _merged(
        api.input.openapi_content(), api.input.openapi_components(), schemas
    )
    if content:
        operation["requestBody"] = {"required": True, "content": content}
    for status, (error, _, _) in _ERRORS.items():
        operation["responses"][status] = {"$ref": _RESPONSES + error.code}
    return operation


def _merged(content: Json, components: Json, schemas: Json) -> Json:
    """Add components to `schemas` and return the content that refers to them.

    A name that stands for another schema already gets a number: two modules may each
    have an `Input`.
    """
    renamed = {
        name: name
        if schemas.get(name, components[name]) == components[name]
        else _free_name(name, schemas, components)
        for name in components
    }

    def rename(reference: str) -> str:
        name = reference.removeprefix(_SCHEMAS)
        return _SCHEMAS + renamed.get(name, name)

    for name, schema in components.items():
        schemas[renamed[name]] = _with_references(schema, rename)
    merged: Json = _with_references(content, rename)
    return merged


def _free_name(name: str, schemas: Json, components: Json) -> str:
    number = 2
    while f"{name}_{number}" in schemas or f"{name}_{number}" in components:
        number += 1
    return f"{name}_{number}"


def _with_references(node: Any, rename: Callable[[str], str]) -> Any:
    """Return a copy of a schema with every reference renamed, examples untouched."""
    if isinstance(node, list):
        return [_with_references(item, rename) for item in node]
    if not isinstance(node, dict):
        return node
    copy: Json = {}
    for key, value in node.items():
        if key == "$ref" and isinstance(value, str):
            copy[key] = rename(value)
        elif key == "mapping" and _is_discriminator(node):
            copy[key] = {tag: rename(reference) for tag, reference in value.items()}
        elif key == "properties" and isinstance(value, dict):
            # Its keys are field names, whatever they say.
            copy[key] = {
                name: _with_references(schema, rename) for name, schema in value.items()
            }
        elif key in ("example", "examples", "default", "const", "enum"):
            copy[key] = value
        else:
            copy[key] = _with_references(value, rename)
    return copy


def _is_discriminator(node: Json) -> bool:
    return isinstance(node.get("propertyName"), str) and all(
        isinstance(reference, str) for reference in node["mapping"].values()
    )


def _error_responses(retry_after: Json) -> Json:
    responses = {}
    for error, description, has_retry_after in _ERRORS.values():
        example = {"code": error.code, "message": description, "id": None}
        response: Json = {
            "description": description,
            "content": {
                "application/json": {
                    "schema": {"$ref": _SCHEMAS + _ERROR_SCHEMA},
                    "example": {"error": example},
                }
            },
        }
        if has_retry_after:
            response["headers"] = retry_after
        responses[error.code] = response
    return responses
