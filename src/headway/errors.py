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

    def __init_subclass__(
        cls, *, status: int | None = None, code: str | None = None, **others: object
    ) -> None:
        super().__init_subclass__(**others)
        cls.status = cls.status if status is None else status
        cls.code = cls.code if code is None else code

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
        error.message = (
            f"{error.message}; the log has the traceback under error id {error_id}"
        )
        error.error_id = error_id
        error.args = (error.message,)
        return error


class StartError(HeadwayError, code="start_failed"):
    """The server cannot start; its message is the only line that the user sees."""


class ConfigError(StartError, code="bad_config"):
    """A setting is unknown, of the wrong type or absurd."""


class ServiceImportError(StartError, code="service_import"):
    """`module:svc` cannot be imported or is no Service."""


class PortTakenError(StartError, code="port_taken"):
    """Another process listens on the address."""


class RunnerStartError(StartError, code="runner_start"):
    """A runner could not load or warm its model."""


class MissingExtraError(StartError, code="missing_extra"):
    """An optional package is not installed; the message names the extra."""


class MissingFrameworkError(StartError, ImportError, code="missing_framework"):
    """Headway has no module for a framework yet; the message says what to use."""


class StoreError(HeadwayError, code="store"):
    """The model store cannot do what it should."""


class InvalidTagError(StoreError, status=400, code="invalid_tag"):
    """A tag does not parse."""


class ModelNotFoundError(StoreError, status=404, code="model_not_found"):
    """The store has no model of that tag."""


class AmbiguousTagError(StoreError, status=409, code="ambiguous_tag"):
    """A version prefix matches several models."""


class ModelExistsError(StoreError, status=409, code="model_exists"):
    """The version is already in the store."""


class CorruptModelError(StoreError, code="corrupt_model"):
    """A file of a model is missing, unreadable or its SHA-256 differs."""


class RequestError(HeadwayError, status=400, code="bad_request"):
    """The request is at fault."""


class BadInputError(RequestError, code="bad_input"):
    """The body or a header does not fit the API."""


class RouteNotFoundError(RequestError, status=404, code="not_found"):
    """No API has that path."""


class MethodNotAllowedError(RequestError, status=405, code="method_not_allowed"):
    """The path does not take the HTTP method.

    Args:
        message: What was wrong.
        allow: The HTTP methods that the path takes.
    """

    def __init__(self, message: str, *, allow: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allow = allow


class RequestTimeoutError(RequestError, status=408, code="request_timeout"):
    """The request took too long to arrive."""


class BodyTooLargeError(RequestError, status=413, code="body_too_large"):
    """The body is larger than `api_server.max_body_bytes`."""


class UnsupportedMediaTypeError(
    RequestError, status=415, code="unsupported_media_type"
):
    """The API does not take that Content-Type."""


class HeadersTooLargeError(RequestError, status=431, code="headers_too_large"):
    """The request line and headers exceed `api_server.max_header_bytes`."""


class RefusedError(HeadwayError, status=503, code="refused"):
    """The request was refused before any work was done for it."""


class TooManyRequestsError(RefusedError, status=429, code="too_many_requests"):
    """`api_server.max_concurrency` requests are in progress."""


class OverloadedError(RefusedError, code="overloaded"):
    """The queue is too long for the deadline, or full.

    Runners have queues, and so have the threads of sync API functions.
    """


class UnavailableError(RefusedError, code="unavailable"):
    """The runner is starting, for the first time or after it died."""


class DeadlineExceededError(HeadwayError, status=504, code="deadline_exceeded"):
    """The request's deadline passed."""


class CallError(HeadwayError, code="call_failed"):
    """The user's code failed; the traceback is in the log under `error_id`."""


class ApiFunctionError(CallError, code="api_function_failed"):
    """The API function raised."""


class ModelCallError(CallError, code="model_failed"):
    """The model raised."""


class OutputError(CallError, code="bad_output"):
    """The result of the model or the API function does not fit its declaration."""


class RunnerLostError(HeadwayError, status=503, code="runner_lost"):
    """The runner died while it computed the request."""


class WireError(HeadwayError, code="wire"):
    """A frame does not parse; the connection that carried it is closed."""


class TrafficError(HeadwayError, code="traffic"):
    """A tool could not send its requests, or measured nothing."""


class SampleRequestError(TrafficError, code="sample_request_failed"):
    """The service does not answer its sample request with 200."""


class UsageError(HeadwayError, code="usage"):
    """A Headway call was made in the wrong place."""
