"""Who is suspected, and for how long."""

from headway.scheduling.failure_cache import FailureCache


def test_nobody_is_suspected_at_first() -> None:
    suspects = FailureCache()
    assert not suspects.is_awake
    assert not suspects.odd_ones_fail
    assert suspects.odd_ones_may_fail
    assert 5 not in suspects


def test_what_failed_is_suspected_until_it_succeeds() -> None:
    suspects = FailureCache()
    suspects.failed(5, 10.0, is_odd=False)
    assert suspects.is_awake
    assert 5 in suspects
    assert 6 not in suspects
    suspects.succeeded(6, 11.0, is_odd=False)
    suspects.succeeded(5, 11.0, is_odd=False)
    assert 5 not in suspects
    assert not suspects.is_awake


def test_it_is_forgotten_a_minute_after_its_last_failure() -> None:
    suspects = FailureCache()
    for digest, at in ((1, 0.0), (2, 30.0), (1, 40.0)):
        suspects.failed(digest, at, is_odd=False)
    suspects.expire(89.9)
    assert (1 in suspects, 2 in suspects) == (True, True)
    suspects.expire(90.0)
    assert (1 in suspects, 2 in suspects) == (True, False)
    suspects.expire(100.0)
    assert not suspects.is_awake


def test_the_latest_1024_are_remembered() -> None:
    suspects = FailureCache()
    for digest in range(1025):
        suspects.failed(digest, float(digest), is_odd=False)
    assert sum(digest in suspects for digest in range(1025)) == 1024
    assert 0 not in suspects


def test_odd_ones_are_judged_by_what_became_of_them() -> None:
    suspects = FailureCache()
    suspects.failed(1, 0.0, is_odd=True)
    assert suspects.odd_ones_fail
    for _ in range(9):
        suspects.failed(1, 0.0, is_odd=True)
    suspects.succeeded(2, 1.0, is_odd=True)
    assert suspects.odd_ones_fail, "one exception does not clear them"
    for _ in range(9):
        suspects.succeeded(1, 1.0, is_odd=True)
    assert not suspects.odd_ones_may_fail
    suspects.failed(1, 2.0, is_odd=True)
    assert suspects.odd_ones_may_fail, "they are watched again"


def test_the_judgement_is_forgotten_too() -> None:
    suspects = FailureCache()
    suspects.failed(1, 100.0, is_odd=True)
    suspects.expire(159.0)
    assert (suspects.odd_ones_fail, suspects.is_awake) == (True, True)
    suspects.expire(160.0)
    assert (suspects.odd_ones_fail, suspects.is_awake) == (False, False)
