"""Copies of errors: also of a user's class, which takes other arguments."""

from headway.errors import HeadwayError, OverloadedError


class ModelDriftError(HeadwayError):
    status = 500
    code = "model_drift"

    def __init__(self, feature: str, *, score: float) -> None:
        super().__init__(f"{feature} has drifted")
        self.score = score


def raised(error: HeadwayError) -> HeadwayError:
    try:
        raise error from ValueError("cause")
    except HeadwayError as caught:
        return caught


def test_a_copy_is_equal_without_traceback_and_cause() -> None:
    error = raised(OverloadedError("busy", error_id="abc", retry_after_s=2.0))
    copied = error.copied()
    assert type(copied) is OverloadedError
    assert (copied.message, copied.error_id, copied.retry_after_s) == ("busy", "abc", 2)
    assert (str(copied), copied.args) == ("busy", ("busy",))
    assert copied is not error
    assert copied.__traceback__ is None
    assert copied.__cause__ is None


def test_a_users_class_is_copied_without_calling_it() -> None:
    error = raised(ModelDriftError("age", score=0.5))
    for copied in (error.copied(), error.with_error_id("abc")):
        assert isinstance(copied, ModelDriftError)
        assert (copied.score, copied.status, copied.code) == (0.5, 500, "model_drift")
    assert copied.error_id == "abc"
    assert str(copied) == copied.message
    assert (
        copied.message
        == "age has drifted; the log has the traceback under error id abc"
    )
    assert error.error_id is None


def test_a_message_that_is_no_text_becomes_text_with_an_error_id() -> None:
    error = HeadwayError({"a": 1})  # type: ignore[arg-type]  # a user's mistake
    message = error.with_error_id("abc").message
    assert message == "{'a': 1}; the log has the traceback under error id abc"
