"""What is recorded is judged rightly, and shown as it is."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from benchmarks.simulation.catalogue import CASES
from benchmarks.simulation.contenders import HEADWAY, NEVER_WAIT, OPTIMUM
from benchmarks.simulation.outcome import Outcome
from benchmarks.simulation.record import DOCS, RECORD, Outcomes, read, write
from benchmarks.simulation.report import cases_page, replace_part, summary
from benchmarks.simulation.verdict import Verdict, compare, judge

POISSON = "poisson/small/0.5"
CLOSED = "closed/forest/64"
OVERLOAD = "overload/small/2x17ms"
PRIORITY = "priority/small/10x1s"


def outcome(
    case: str = POISSON,
    policy: str = HEADWAY,
    *,
    goodput: float = 100.0,
    mean_ms: float | None = 5.0,
    refused: int = 0,
    shares: dict[str, float] | None = None,
) -> Outcome:
    return Outcome(
        case=case,
        policy=policy,
        offered=1000,
        answered=1000 - refused,
        refused=refused,
        goodput=goodput,
        mean_ms=mean_ms,
        served_shares=shares or {},
    )


def keyed(*outcomes: Outcome) -> Outcomes:
    return {(one.case, one.policy): one for one in outcomes}


def judged(claim: str, *outcomes: Outcome) -> Verdict:
    """Return the one verdict on a claim."""
    verdicts = judge(CASES.values(), keyed(*outcomes))
    (verdict,) = [verdict for verdict in verdicts if verdict.claim == claim]
    return verdict


@pytest.mark.parametrize(
    ("theirs", "word", "latency"),
    [
        pytest.param(outcome(mean_ms=6.0), "better", 5 / 6, id="sooner"),
        pytest.param(outcome(mean_ms=4.0), "worse", 1.25, id="later"),
        pytest.param(outcome(mean_ms=5.01), "same", 5 / 5.01, id="as-soon"),
        pytest.param(outcome(goodput=90, mean_ms=1.0), "better", None, id="more"),
        pytest.param(outcome(goodput=110, mean_ms=9.0), "worse", None, id="fewer"),
        pytest.param(outcome(goodput=0, mean_ms=None), "better", None, id="all"),
        pytest.param(
            outcome(refused=500, mean_ms=1.0), "same", None, id="as-many-of-fewer"
        ),
    ],
)
def test_goodput_decides_and_then_latency(
    theirs: Outcome, word: str, latency: float | None
) -> None:
    standing = compare(outcome(), theirs)
    assert standing.word == word
    assert standing.latency == (latency and pytest.approx(latency))


@pytest.mark.parametrize(("mean_ms", "holds"), [(5.2, True), (5.3, False)])
def test_latency_is_held_against_the_optimum(mean_ms: float, holds: bool) -> None:
    verdict = judged(
        "optimum",
        outcome(mean_ms=mean_ms),
        outcome(policy=OPTIMUM, mean_ms=5.0),
    )
    assert verdict.holds is holds


@pytest.mark.parametrize(("mean_ms", "holds"), [(5.1, True), (5.2, False)])
def test_latency_is_held_against_a_rival(mean_ms: float, holds: bool) -> None:
    rival = outcome(policy="cork")
    assert judged("latency", outcome(mean_ms=mean_ms), rival).holds is holds


@pytest.mark.parametrize(("goodput", "holds"), [(99.5, True), (98.5, False)])
def test_goodput_is_held_against_a_rival(goodput: float, holds: bool) -> None:
    rival = outcome(policy="cork")
    assert judged("goodput", outcome(goodput=goodput), rival).holds is holds


@pytest.mark.parametrize(("goodput", "holds"), [(10_300, True), (9_000, False)])
def test_gathering_is_held_against_never_waiting(goodput: float, holds: bool) -> None:
    rival = outcome(CLOSED, NEVER_WAIT, goodput=7_300)
    assert judged("gather", outcome(CLOSED, goodput=goodput), rival).holds is holds


def test_gathering_is_judged_only_where_it_can_gain() -> None:
    alone = "closed/forest/1"
    outcomes = keyed(
        outcome(alone, goodput=205), outcome(alone, NEVER_WAIT, goodput=205)
    )
    assert "gather" not in {one.claim for one in judge(CASES.values(), outcomes)}


@pytest.mark.parametrize(("goodput", "holds"), [(7_500, True), (7_300, False)])
def test_overload_is_held_against_the_capacity(goodput: float, holds: bool) -> None:
    # Of the model "small", 32 rows in 4.2 ms.
    verdict = judged("overload", outcome(OVERLOAD, goodput=goodput))
    assert verdict.value == pytest.approx(goodput / (32 / 4.2e-3))
    assert verdict.holds is holds


@pytest.mark.parametrize(("share", "holds"), [(0.05, True), (0.0, False)])
def test_the_lowest_class_is_not_starved(share: float, holds: bool) -> None:
    shares = {"0": 0.1, "4": 0.1, "9": share}
    assert judged("starvation", outcome(PRIORITY, shares=shares)).holds is holds


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    outcomes = keyed(
        outcome(POISSON), outcome(CLOSED, "cork", mean_ms=None), outcome(PRIORITY)
    )
    gone = outcome("no/such/case")
    path = tmp_path / "simulation" / "outcomes.jsonl"
    write(path, {**outcomes, **keyed(gone)})
    assert read(path) == outcomes
    assert len(path.read_text().splitlines()) == 3
    assert read(tmp_path / "other") == {}
    path.write_text('{"case": 1}\n')
    with pytest.raises(msgspec.ValidationError):
        read(path)


def test_the_pages_show_what_is_recorded() -> None:
    outcomes = keyed(
        outcome(POISSON, mean_ms=3.125),
        outcome(POISSON, "cork", mean_ms=2.5, refused=250),
        outcome(POISSON, OPTIMUM, mean_ms=3.0),
        outcome(PRIORITY, shares={"0": 0.1, "9": 0.07}),
    )
    page = cases_page(outcomes)
    assert "| small/0.5 | 3.125 | 2.5 (-25%) | 3 |" in page
    assert "| small/10x1s | 100; 5; served 10%, 7% |" in page
    text = summary(outcomes)
    assert "| at most 1.05 | 1 of 1 | 1.042 | poisson/small/0.5, optimum |" in text
    assert "| than cork | 0 | 1 | 0 |" in text


def test_a_part_is_replaced_between_its_markers() -> None:
    page = (DOCS / "design" / "scheduling.md").read_text()
    once = replace_part(page, "new text")
    assert "\nnew text\n" in once
    assert replace_part(once, "new text") == once
    before = page.partition("<!-- simulation:")[0]
    assert once.startswith(before)
    with pytest.raises(ValueError, match="lacks"):
        replace_part("no markers", "text")


def test_the_pages_are_those_of_the_record() -> None:
    outcomes = read(RECORD)
    assert {name for name, _ in outcomes} == set(CASES)
    page = (DOCS / "design" / "scheduling.md").read_text()
    assert replace_part(page, summary(outcomes)) == page
    assert (DOCS / "simulation/cases.md").read_text() == cases_page(outcomes)


def test_pictures_are_drawn_and_always_the_same(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks.simulation.plots import draw_all

    first, second = tmp_path / "first", tmp_path / "second"
    pictures = []
    for folder in (first, second):
        folder.mkdir()
        paths = draw_all(read(RECORD), folder)
        pictures.append({path.name: path.read_bytes() for path in paths})
    assert pictures[0] == pictures[1]
    assert all(picture.startswith(b"<?xml") for picture in pictures[0].values())
    text = (DOCS / "design" / "scheduling.md").read_text()
    assert all(f"(../simulation/{name})" in text for name in pictures[0])


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.simulation", *arguments],
        cwd=DOCS.parent,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_runs_records_and_judges(tmp_path: Path) -> None:
    assert POISSON in command("list").stdout.splitlines()
    record = tmp_path / "record" / "outcomes.jsonl"
    ran = command("run", "closed/gpu/1", "closed/gpu/2", "--record", str(record))
    assert ran.returncode == 0, ran.stderr
    assert {name for name, _ in read(record)} == {"closed/gpu/1", "closed/gpu/2"}
    judgement = command("verdicts", "--record", str(record))
    assert "goodput: 12 of 12 hold" in judgement.stdout
    shown = command("case", "closed/gpu/1", "--policy", "cork")
    assert "closed/gpu/1\n" in shown.stdout
    assert command("case", "closed/gp").returncode == 1
