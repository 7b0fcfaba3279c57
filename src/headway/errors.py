"""All errors that Headway raises, in one tree.

HeadwayError                       500 internal
├── StartError                     the start ends with one line and exit code 1
│   ├── ConfigError                a setting is unknown, of the wrong type or absurd
│   ├── ServiceImportError         `module:svc` cannot be imported or is no Service
│   ├── PortTakenError             another process listens there
│   ├── RunnerStartError           a runner could not load or warm its model
│   ├── MissingExtraError          an optional package is not installed
│   └── MissingFrameworkError      no module for a framework; also an ImportError
├── StoreError                     the model store cannot do what it should
│   ├── InvalidTagError            a tag does not parse
│   ├── ModelNotFoundError         no model of that tag in the store
│   ├── AmbiguousTagError          a version prefix matches several models
│   ├── ModelExistsError           the version is already there
│   └── CorruptModelError          a file is missing or its SHA-256 differs
├── RequestError                   the client's fault, 4xx
│   ├── BadInputError              400 bad_input
│   ├── RouteNotFoundError         404 not_found
│   ├── MethodNotAllowedError      405 method_not_allowed
│   ├── RequestTimeoutError        408 request_timeout: it took too long to arrive
│   ├── BodyTooLargeError          413 body_too_large
│   ├── UnsupportedMediaTypeError  415 unsupported_media_type
│   └── HeadersTooLargeError       431 headers_too_large
├── RefusedError                   refused before any work was done; a retry may help
│   ├── TooManyRequestsError       429 too_many_requests
│   ├── OverloadedError            503 overloaded, with a computed Retry-After
│   └── UnavailableError           503 unavailable: the runner is not up
├── DeadlineExceededError          504 deadline_exceeded
├── CallError                      500, the user's code failed; has an error id
│   ├── ApiFunctionError           500 api_function_failed
│   ├── ModelCallError             500 model_failed
│   └── OutputError                500 bad_output: rows or types do not fit
├── RunnerLostError                503 runner_lost: the runner died while computing
├── WireError                      a frame does not parse; the connection is closed
├── TrafficError                   traffic could not be sent, or not be measured
│   └── SampleRequestError         the service answers its sample with an error
└── UsageError                     a Headway call was made in the wrong place

`status` and `code` are class attributes. Instances have `message`, `error_id`,
`retry_after_s` and, for MethodNotAllowedError, `allow`.
"""

from typing import ClassVar, Self


class HeadwayError(Exception):
    """Base of every error that Headway raises.

    Args:
        message: What was wrong, where, and what to do about it.
        error_id: Names the traceback in the log, if there is one.
        retry_after_s: Seconds after which a retry may succeed, if known.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"

    # Defaults, for users' subclasses whose __init__ does not call this one.
    message = ""
    error_id: str | None = None
    retry_after_s: float | None = None

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

    def copied(self) -> Self:
        """Return an equal error, without traceback and cause.

        The class is not called, as a user's sub-class may take other arguments.
        """
        copied = type(self).__new__(type(self), *self.args)
        copied.__dict__.update(self.__dict__)
        return copied

    def with_error_id(self, error_id: str) -> Self:
        """Return a copy that names the log's traceback by its id."""
        error = self.copied()
        error.message += f"; the log has the traceback under error id {error_id}"
        error.error_id = error_id
        error.args = (error.message,)
        return error


class StartError(HeadwayError):
    """The server cannot start; its message is the only line that the user sees."""

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


class MissingFrameworkError(StartError, ImportError):
    """Headway has no module for a framework yet; the message says what to use."""

    code = "missing_framework"


class StoreError(HeadwayError):
    """The model store cannot do what it should."""

    code = "store"


class InvalidTagError(StoreError):
    """A tag does not parse."""

    status = 400
    code = "invalid_tag"


class ModelNotFoundError(StoreError):
    """The store has no model of that tag."""

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
    """The body or a header does not fit the API."""

    code = "bad_input"


class RouteNotFoundError(RequestError):
    """No API has that path."""

    status = 404
    code = "not_found"


class MethodNotAllowedError(RequestError):
    """The path does not take the HTTP method.

    Args:
        message: What was wrong.
        allow: The HTTP methods that the path takes.
    """

    status = 405
    code = "method_not_allowed"

    def __init__(self, message: str, *, allow: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allow = allow


class RequestTimeoutError(RequestError):
    """The request took too long to arrive."""

    status = 408
    code = "request_timeout"


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
    """The request was refused before any work was done for it."""

    status = 503
    code = "refused"


class TooManyRequestsError(RefusedError):
    """`api_server.max_concurrency` requests are in progress."""

    status = 429
    code = "too_many_requests"


class OverloadedError(RefusedError):
    """The queue is too long for the deadline, or full.

    Runners have queues, and so have the threads of sync API functions.
    """

    code = "overloaded"


class UnavailableError(RefusedError):
    """The runner is starting, for the first time or after it died."""

    code = "unavailable"


class DeadlineExceededError(HeadwayError):
    """The request's deadline passed."""

    status = 504
    code = "deadline_exceeded"


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
    """The result of the model or the API function does not fit its declaration."""

    code = "bad_output"


class RunnerLostError(HeadwayError):
    """The runner died while it computed the request."""

    status = 503
    code = "runner_lost"


class WireError(HeadwayError):
    """A frame does not parse; the connection that carried it is closed."""

    code = "wire"


class TrafficError(HeadwayError):
    """A tool could not send its requests, or measured nothing."""

    code = "traffic"


class SampleRequestError(TrafficError):
    """The service does not answer its sample request with 200."""

    code = "sample_request_failed"


class UsageError(HeadwayError):
    """A Headway call was made in the wrong place."""

    code = "usage"
