"""The history keeps the last 15 minutes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.observability.live.history import KEPT_SECONDS, HistoryWriter, read_history


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[HistoryWriter]:
    made = HistoryWriter(path=tmp_path / "history", run=7)
    made.start()
    yield made
    made.close()


def test_new_history_is_empty(writer: HistoryWriter, tmp_path: Path) -> None:
    found = read_history(tmp_path / "history", 0)
    assert (found.run, found.newest, found.seconds) == (7, 0, [])
    assert found.totals == b"null"


@settings(deadline=None, max_examples=40)  # it writes files
@given(count=st.integers(0, 2200), since=st.integers(0, 3000))
def test_seconds_after_a_number_are_read(
    count: int, since: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("live") / "history"
    writer = HistoryWriter(path=path, run=1)
    writer.start()
    for number in range(1, count + 1):
        writer.write(number, b"%d" % number, b"total %d" % number)
    writer.close()
    found = read_history(path, since)
    # A future number is from an earlier run, so all seconds are new to the reader.
    first = max(0 if since > count else since, count - KEPT_SECONDS) + 1
    assert found.seconds == [b"%d" % n for n in range(first, count + 1)]
    assert found.newest == count
    if found.seconds:
        assert found.totals == b"total %d" % count


def test_too_large_second_is_left_out(writer: HistoryWriter, tmp_path: Path) -> None:
    writer.write(1, b"one", b"{}")
    with pytest.raises(ValueError, match="do not fit"):
        writer.write(2, b"x" * 40_000, b"{}")
    assert read_history(tmp_path / "history", 0).newest == 1
    writer.write(3, b"three", b"{3}")
    found = read_history(tmp_path / "history", 0)
    assert (found.newest, found.seconds, found.totals) == (
        3,
        [b"one", b"three"],
        b"{3}",
    )


def test_file_uses_little_disk_space(writer: HistoryWriter, tmp_path: Path) -> None:
    for number in range(1, 2 * KEPT_SECONDS):
        writer.write(number, b"x" * 1000, b"y" * 1000)
    assert (tmp_path / "history").stat().st_blocks * 512 < 8 * 2**20
