"""The page of the peer comparison shows the recorded results."""

from pathlib import Path

import msgspec
import pytest
from benchmarks.peers.catalogue import MODELS, SERVERS, predictions, request_of
from benchmarks.peers.record import (
    RECORD,
    Closed,
    Facts,
    Line,
    Open,
    Skipped,
    Started,
    append,
    latest,
    read,
)
from benchmarks.peers.report import closures, page
from benchmarks.wrk import Load

FACTS = Facts(
    at="2026-01-02T03:04:05+00:00",
    commit="abc1234",
    command="scripts/bench peers run",
    cpu="a processor",
    cores=2,
    memory_gib=8.0,
    kernel="6.1",
    python="3.11.7",
    wrk="wrk 4.1",
    versions={"headway": "0.1.0", "mosec": "0.9.8"},
)


def closed(server: str, rps: float, connections: int = 64) -> Closed:
    load = Load(
        connections=connections,
        rps=rps,
        p50_ms=1.25,
        p99_ms=2.5,
        max_ms=7.0,
        failures=0,
    )
    return Closed(server, "logistic", 3, load)


def lines() -> list[Line]:
    return [
        FACTS,
        closed("headway", 1.0),
        FACTS,
        Started("headway", "logistic", 1.5, 200.25),
        closed("headway", 40_000),
        closed("headway", 44_000),
        closed("headway", 41_000),
        closed("mosec", 20_500),
        Open(
            server="headway",
            model="logistic",
            factor=2.0,
            per_s=82_000.0,
            seconds=3,
            offered=246_000,
            in_time=123_000,
            statuses="200: 123000",
            not_sent=7,
            lag_p99_ms=1.0,
        ),
        Skipped("ray", "logistic", "not installed:\nat all"),
    ]


def test_page_shows_medians_ratios_and_skipped_servers() -> None:
    text = page(lines())
    for expected in (
        "commit abc1234",
        "| headway | 41,000 |",
        "| mosec | 2.00 |",
        "| headway | 1.25 / 2.5 / 7 |",
        "| headway | 50% of 82,000/s, 7 not sent |",
        "| headway | 1.5 | 200 |",
        "- ray, logistic: not installed\n",
    ):
        assert expected in text
    assert "forest" not in text


def test_only_the_last_run_of_a_model_counts() -> None:
    credit = closed("mosec", 900.0)
    older: list[Line] = [FACTS, msgspec.structs.replace(credit, model="credit")]
    newest, oldest = latest([*older, *lines()])
    assert closures(newest.lines)["logistic", "headway", 64].rps == 41_000
    assert [line.model for line in oldest.lines] == ["credit"]
    assert page([*older, *lines()]).count("commit abc1234") == 2
    with pytest.raises(ValueError, match="no session"):
        page([])


def test_record_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "results/peers.jsonl"
    for line in lines():
        append(path, line)
    assert read(path) == lines()


def test_page_matches_the_record() -> None:
    assert (RECORD.parents[1] / "README.md").read_text() == page(read(RECORD))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("server", SERVERS)
def test_every_server_has_a_request_for_every_model(server: str, model: str) -> None:
    request = request_of(server, model)
    assert request.path.startswith("/")
    assert request.body


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([0], [0]),
        ([[2, 5.5]], [2, 5.5]),
        ({"outputs": [{"data": [1]}]}, [1]),
        ({"status": "APPROVED"}, ["APPROVED"]),
    ],
)
def test_predictions_are_found_in_every_form(
    answer: object, expected: list[object]
) -> None:
    assert predictions(answer) == expected
