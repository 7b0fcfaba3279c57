"""Reading a metrics file that is half-written, foreign or damaged."""

import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.errors import UsageError
from headway.metrics import Family, MetricsRegistry, read_samples
from headway.metrics.families import REQUEST_DURATION, REQUESTS
from headway.metrics.metrics_file import read_file
from tests.metrics.samples import samples_of

MANY = Family(name="many_total", help="Many.", kind="counter", labels=("id",))


def write_some(path: Path) -> int:
    """Write a file with three series; return the end of its directory."""
    registry = MetricsRegistry(path)
    registry.start()
    registry.counter(REQUESTS, ("a", "200")).add(3)
    registry.counter(REQUESTS, ("b", "200")).add(4)
    registry.histogram(REQUEST_DURATION, ("a",)).observe(0.003)
    return 64 + int.from_bytes(path.read_bytes()[8:16], "little")


def test_absent_and_foreign_files_count_as_empty(tmp_path: Path) -> None:
    foreign, empty = tmp_path / "foreign.bin", tmp_path / "empty.bin"
    foreign.write_bytes(b"x" * 1_000_000)
    empty.touch()
    good = tmp_path / "good.bin"
    write_some(good)
    paths = [foreign, empty, good, tmp_path / "absent.bin"]
    assert [sample.cells[0] for sample in read_samples(paths)][1:] == [3, 4]


@settings(deadline=None, max_examples=60)  # it writes files
@given(data=st.data())
def test_a_damaged_file_is_read_in_part_and_replaced(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("metrics") / "damaged.bin"
    used = write_some(path)
    damaged = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, used - 1))
    damaged[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(damaged)
    for record, cells in read_file(path):
        assert len(record.labels) == len(record.family.labels)
        assert cells
    registry = MetricsRegistry(path)
    registry.start()
    counter = registry.counter(MANY, ("new",))
    counter.add(2)
    assert [s.value for s in read_samples([path]) if s.family.name == MANY.name] == [2]


def test_a_truncated_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "api-0.bin"
    write_some(path)
    path.write_bytes(path.read_bytes()[:-8])
    assert read_samples([path]) == []
    write_some(path)
    assert len(read_samples([path])) == 3


def test_an_unpublished_entry_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "api-0.bin"
    used = write_some(path)
    # As a writer leaves it that is killed between the entry and the count.
    with path.open("r+b") as file:
        file.seek(used)
        file.write((500).to_bytes(4, "little") + b'{"family":')
    assert len(read_samples([path])) == 3
    registry = MetricsRegistry(path)
    registry.start()
    registry.counter(MANY, ("new",)).add()
    assert len(read_samples([path])) == 4


def test_a_full_file_is_a_clear_error(tmp_path: Path) -> None:
    registry = MetricsRegistry(tmp_path / "api-0.bin")
    registry.start()

    def add_many() -> None:
        for number in range(100_000):
            registry.counter(MANY, (str(number),)).add()

    with pytest.raises(UsageError, match=r"many_total: no room for the series .* few"):
        add_many()
    assert samples_of(registry) == read_samples([tmp_path / "api-0.bin"])
    assert len(samples_of(registry)) > 2_000


def test_readers_see_whole_series_while_a_writer_appends(tmp_path: Path) -> None:
    path = tmp_path / "api-0.bin"
    registry = MetricsRegistry(path)
    registry.start()

    def write() -> None:
        for number in range(1_000):
            registry.counter(MANY, (str(number),)).add()

    writer = threading.Thread(target=write)
    writer.start()
    counts = [0]
    while writer.is_alive():
        samples = read_samples([path])
        assert all(sample.family == MANY for sample in samples)
        assert all(sample.value in (0, 1) for sample in samples)
        counts.append(len(samples))
    writer.join()
    assert counts == sorted(counts)
    assert len(read_samples([path])) == 1_000
