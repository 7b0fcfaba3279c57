"""Errors between processes keep their class, code, status and message."""

import pytest

from headway import errors
from headway.errors import (
    BadInputError,
    HeadwayError,
    MethodNotAllowedError,
    OverloadedError,
)
from headway.ipc.frames import decode_record, encode_record_frame
from headway.ipc.records import ErrorRecord, FailureFrame, error_of, record_of


class LimitError(OverloadedError):
    """A user's error, with arguments of its own."""

    status = 402
    code = "limit_reached"

    def __init__(self, tenant: str, *, left: int) -> None:
        super().__init__(f"{tenant} has {left} calls left", retry_after_s=2.0)
        self.tenant = tenant


class SilentError(BadInputError):
    """A user's error that does not call its base's __init__, nor has a code."""

    def __init__(self, field: str) -> None:
        self.field = field


def crossed(error: HeadwayError) -> HeadwayError:
    """Return an error as the process at the other end raises it."""
    frame = encode_record_frame(FailureFrame(1, 0, 1, record_of(error)))
    return error_of(decode_record(memoryview(frame), FailureFrame).error)


KINDS = [kind for kind in vars(errors).values() if str(kind).endswith("Error'>")]
ERRORS = [kind for kind in KINDS if kind is not MethodNotAllowedError]


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_crosses_processes(kind: type[HeadwayError]) -> None:
    sent = kind("why", error_id="abc", retry_after_s=1.5)
    came = crossed(sent)
    assert type(came) is kind
    assert (came.message, came.error_id, came.retry_after_s) == ("why", "abc", 1.5)


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in KINDS]
    assert len(set(codes)) == len(codes)


def test_an_unknown_code_is_kept() -> None:
    came = error_of(ErrorRecord("from_the_future", "why"))
    assert type(came) is HeadwayError
    assert (came.message, came.code, came.status) == ("why", "from_the_future", 500)


def test_refusals_keep_their_class() -> None:
    assert isinstance(crossed(OverloadedError("x")), OverloadedError)
    assert isinstance(crossed(BadInputError("x")), BadInputError)


def test_a_users_error_keeps_its_code_and_status() -> None:
    came = crossed(LimitError("iris", left=0))
    assert type(came) is OverloadedError
    assert (came.code, came.status) == ("limit_reached", 402)
    assert (came.message, came.retry_after_s) == ("iris has 0 calls left", 2.0)
    assert (OverloadedError.code, OverloadedError.status) == ("overloaded", 503)


def test_a_users_error_without_a_message_crosses() -> None:
    came = crossed(SilentError("age"))
    assert type(came) is BadInputError
    assert (came.code, came.status, came.message) == ("bad_input", 400, "age")


def test_an_error_with_more_arguments_keeps_its_code_and_status() -> None:
    came = crossed(MethodNotAllowedError("no", allow=("GET",)))
    assert (came.code, came.status, came.message) == ("method_not_allowed", 405, "no")


@pytest.mark.parametrize("error", [LimitError("iris", left=0), SilentError("age")])
def test_a_users_error_can_be_copied(error: HeadwayError) -> None:
    copy = error.copied()
    assert type(copy) is type(error)
    assert (vars(copy), str(copy)) == (vars(error), str(error))


def test_a_message_that_is_no_text_crosses_as_text() -> None:
    error = HeadwayError({"a": 1})  # type: ignore[arg-type]  # a user's mistake
    assert crossed(error).message == "{'a': 1}"
