"""Progress: a bar on a terminal, lines in a file."""

import io

from headway.tools.load.messages import (
    AgentMessage,
    Figures,
    SecondPassed,
    StepBegan,
    StepEnded,
)
from headway.tools.load.terminal import Progress
from headway.tools.options import LoadStep

FIGURES = Figures(
    seconds=1,
    requests=10,
    failures=1,
    rps=10.0,
    p50_ms=1,
    p90_ms=2,
    p99_ms=3,
    max_ms=4,
    load_cores=0.5,
)
MESSAGES: list[AgentMessage] = [
    StepBegan(1, 100.0),
    SecondPassed(step=1, at=105.0, users=7, figures=FIGURES, failures=4),
    StepEnded(step=1, at=110.0, users=9, whole=FIGURES, steady=None),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO) -> str:
    progress = Progress(stream, [LoadStep(5, 5), LoadStep(9, 1)], 10.0)
    for message in MESSAGES:
        progress(message)
    return stream.getvalue()


def test_terminal_has_a_bar_on_one_line() -> None:
    drawings = shown(Terminal()).split("\r")
    assert drawings[1].startswith("step 2 of 2 [------------------------] 9 users")
    half = "step 2 of 2 [############------------] 7 users  10.0 RPS  p99 3 ms  "
    assert drawings[2].startswith(half + "4 failures  5 s left")
    assert drawings[3].startswith("step 2 of 2 [########################] 9 users")
    assert shown(Terminal()).count("\n") == 1


def test_file_has_a_line_before_and_after() -> None:
    assert shown(io.StringIO()).splitlines() == [
        "step 2 of 2: 9 users for 10 s",
        "  9 users  10.0 RPS  p99 3 ms  1 failures",
    ]
