"""Every error that Headway raises, in one tree; callers are all layers.

HeadwayError                       500 internal
├── StartError                     the start ends with one line and exit code 1
│   ├── ConfigError                a setting is unknown, of the wrong type or absurd
│   ├── ServiceImportError         `module:svc` cannot be imported or is no Service
│   ├── PortTakenError             another process listens there
│   ├── RunnerStartError           a runner could not load or warm its model
│   └── MissingExtraError          an optional package is not installed
├── StoreError
│   ├── InvalidTagError            a tag does not parse
│   ├── ModelNotFoundError         no model of that tag in the store
│   ├── AmbiguousTagError          a version prefix matches several models
│   ├── ModelExistsError           the version is already there
│   └── CorruptModelError          a file is missing or its SHA-256 differs
├── RequestError                   the client's fault, 4xx, not retryable
│   ├── BadInputError              400 bad_input
│   ├── RouteNotFoundError         404 not_found
│   ├── MethodNotAllowedError      405 method_not_allowed
│   ├── RequestTimeoutError        408 request_timeout: the request came too slowly
│   ├── BodyTooLargeError          413 body_too_large
│   ├── UnsupportedMediaTypeError  415 unsupported_media_type
│   └── HeadersTooLargeError       431 headers_too_large
├── RefusedError                   refused before any work was done, retryable
│   ├── TooManyRequestsError       429 too_many_requests
│   ├── OverloadedError            503 overloaded, with a computed Retry-After
│   └── UnavailableError           503 unavailable: the runner is not up
├── DeadlineExceededError          504 deadline_exceeded
├── CallError                      500, the user's code failed; has an error id
│   ├── ApiFunctionError           500 api_function_failed
│   ├── ModelCallError             500 model_failed
│   └── OutputError                500 bad_output: rows or types do not fit
├── RunnerLostError                503 runner_lost: died while computing, retryable
├── WireError                      a frame does not parse; the connection is closed
├── TrafficError                   traffic could not be sent, or not be measured
│   └── WrongQuestionError         the service answers its sample with an error
└── UsageError                     a Headway call was made in the wrong place

`status`, `code` and `retryable` are class attributes; what differs from one instance
to the next (retry_after_s, error_id, allow) are instance attributes.
"""

from typing import ClassVar

__all__ = [
    "AmbiguousTagError",
    "ApiFunctionError",
    "BadInputError",
    "BodyTooLargeError",
    "CallError",
    "ConfigError",
    "CorruptModelError",
    "DeadlineExceededError",
    "HeadersTooLargeError",
    "HeadwayError",
    "InvalidTagError",
    "MethodNotAllowedError",
    "MissingExtraError",
    "ModelCallError",
    "ModelExistsError",
    "ModelNotFoundError",
    "OutputError",
    "OverloadedError",
    "PortTakenError",
    "RefusedError",
    "RequestError",
    "RequestTimeoutError",
    "RouteNotFoundError",
    "RunnerLostError",
    "RunnerStartError",
    "ServiceImportError",
    "StartError",
    "StoreError",
    "TooManyRequestsError",
    "TrafficError",
    "UnavailableError",
    "UnsupportedMediaTypeError",
    "UsageError",
    "WireError",
    "WrongQuestionError",
]


class HeadwayError(Exception):
    """Base of every error that Headway raises.

    Args:
        message: What was wrong, where, and what to do about it.
        error_id: Joins an answer with the traceback in the log, if there is one.
        retry_after_s: Seconds after which a retry has a chance, if known.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        error_id: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.error_id = error_id
        self.retry_after_s = retry_after_s


class StartError(HeadwayError):
    """The start cannot go on; the message is the one line that the user sees."""

    code = "start_failed"


class ConfigError(StartError):
    """A setting is unknown, of the wrong type or absurd."""

    code = "bad_config"


class ServiceImportError(StartError):
    """`module:svc` cannot be imported or is no Service."""

    code = "service_import"


class PortTakenError(StartError):
    """Another process listens on the address."""

    code = "port_taken"


class RunnerStartError(StartError):
    """A runner could not load or warm its model."""

    code = "runner_start"


class MissingExtraError(StartError):
    """An optional package is not installed; the message names the extra."""

    code = "missing_extra"


class StoreError(HeadwayError):
    """The model store cannot do what was asked."""

    code = "store"


class InvalidTagError(StoreError):
    """A tag does not parse."""

    status = 400
    code = "invalid_tag"


class ModelNotFoundError(StoreError):
    """No model of that tag is in the store."""

    status = 404
    code = "model_not_found"


class AmbiguousTagError(StoreError):
    """A version prefix matches several models."""

    status = 409
    code = "ambiguous_tag"


class ModelExistsError(StoreError):
    """The version is already in the store."""

    status = 409
    code = "model_exists"


class CorruptModelError(StoreError):
    """A file of a model is missing, unreadable or its SHA-256 differs."""

    code = "corrupt_model"


class RequestError(HeadwayError):
    """The request is at fault."""

    status = 400
    code = "bad_request"


class BadInputError(RequestError):
    """The body or a header does not hold what the API asks for."""

    code = "bad_input"


class RouteNotFoundError(RequestError):
    """No API has that path."""

    status = 404
    code = "not_found"


class MethodNotAllowedError(RequestError):
    """The path exists, the method does not.

    Args:
        message: What was wrong.
        allow: The methods that the path takes, for the Allow header.
    """

    status = 405
    code = "method_not_allowed"

    def __init__(self, message: str, *, allow: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allow = allow


class RequestTimeoutError(RequestError):
    """The request's bytes came too slowly."""

    status = 408
    code = "request_timeout"
    retryable = True


class BodyTooLargeError(RequestError):
    """The body is larger than `api_server.max_body_bytes`."""

    status = 413
    code = "body_too_large"


class UnsupportedMediaTypeError(RequestError):
    """The API does not take that Content-Type."""

    status = 415
    code = "unsupported_media_type"


class HeadersTooLargeError(RequestError):
    """The request line and headers exceed `api_server.max_header_bytes`."""

    status = 431
    code = "headers_too_large"


class RefusedError(HeadwayError):
    """Refused before any work was done for it."""

    status = 503
    code = "refused"
    retryable = True


class TooManyRequestsError(RefusedError):
    """`api_server.max_concurrency` requests are already being served."""

    status = 429
    code = "too_many_requests"


class OverloadedError(RefusedError):
    """The backlog is such that the deadline cannot be met, or a queue is full.

    The queues are those of runners and that of the threads of sync API functions.
    """

    code = "overloaded"


class UnavailableError(RefusedError):
    """The runner is being started, for the first time or after it died."""

    code = "unavailable"


class DeadlineExceededError(HeadwayError):
    """The request's deadline passed."""

    status = 504
    code = "deadline_exceeded"
    retryable = True


class CallError(HeadwayError):
    """The user's code failed; the traceback is in the log under `error_id`."""

    code = "call_failed"


class ApiFunctionError(CallError):
    """The API function raised."""

    code = "api_function_failed"


class ModelCallError(CallError):
    """The model raised."""

    code = "model_failed"


class OutputError(CallError):
    """What the model or the API function returned does not fit its declaration."""

    code = "bad_output"


class RunnerLostError(HeadwayError):
    """The runner died while it computed the request."""

    status = 503
    code = "runner_lost"
    retryable = True


class WireError(HeadwayError):
    """A frame does not parse; the connection that carried it is closed."""

    code = "wire"


class TrafficError(HeadwayError):
    """Traffic could not be sent to a server, or what came back tells nothing."""

    code = "traffic"


class WrongQuestionError(TrafficError):
    """The service answers what it is asked with an error, or not at all."""

    code = "wrong_question"


class UsageError(HeadwayError):
    """A Headway call was made in the wrong place."""

    code = "usage"
