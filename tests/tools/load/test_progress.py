"""A bar on a terminal, lines in a file."""

import io

from headway.tools.load.ladder import Rung
from headway.tools.load.messages import Began, Ended, Figures, Message, Tick
from headway.tools.load.progress import Progress

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
MESSAGES: list[Message] = [
    Began(1, 100.0),
    Tick(rung=1, at=105.0, users=7, figures=FIGURES, failures=4),
    Ended(rung=1, at=110.0, users=9, whole=FIGURES, steady=None),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO) -> str:
    progress = Progress(stream, [Rung(5, 5), Rung(9, 1)], 10.0)
    for message in MESSAGES:
        progress(message)
    return stream.getvalue()


def test_terminal_has_a_bar_on_one_line() -> None:
    drawings = shown(Terminal()).split("\r")
    assert drawings[1].startswith("rung 2 of 2 [------------------------] 9 users")
    half = "rung 2 of 2 [############------------] 7 users  10.0 RPS  p99 3 ms  "
    assert drawings[2].startswith(half + "4 failures  5 s left")
    assert drawings[3].startswith("rung 2 of 2 [########################] 9 users")
    assert shown(Terminal()).count("\n") == 1


def test_file_has_a_line_before_and_after() -> None:
    assert shown(io.StringIO()).splitlines() == [
        "rung 2 of 2: 9 users for 10 s",
        "  9 users  10.0 RPS  p99 3 ms  1 failures",
    ]
