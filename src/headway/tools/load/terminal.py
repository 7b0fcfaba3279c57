"""Output of a load test for the person at the terminal: progress bars and the table.

cli/load shows the progress on standard error; the demo and the report use the table,
too.
"""

from collections.abc import Sequence
from typing import TextIO

from headway.server.placement import available_cores
from headway.tools.load.load import LoadResult, StepResult
from headway.tools.load.messages import (
    AgentMessage,
    Figures,
    SecondPassed,
    StepBegan,
    StepEnded,
)
from headway.tools.options import LoadStep

NO_VALUE = "-"
_WIDTH = 24
_COLUMNS = (
    "users",
    "spawn/s",
    "RPS",
    "p50 ms",
    "p90 ms",
    "p99 ms",
    "max ms",
    "failures",
    "mean batch",
)


class Progress:
    """Shows a bar for each load step on a terminal, or one line in a file.

    Args:
        stream: Where to write.
        ladder: The load steps.
        step_s: Duration of each step.
    """

    def __init__(
        self, stream: TextIO, ladder: Sequence[LoadStep], step_s: float
    ) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._ladder = ladder
        self._step_s = step_s
        self._began = 0.0
        self._is_shown = False

    def __call__(self, message: AgentMessage) -> None:
        """Show a message from Locust."""
        match message:
            case StepBegan(step, at):
                self._began = at
                users = self._ladder[step].users
                if self._is_terminal:
                    self._draw(step, 0.0, f"{users} users to spawn")
                else:
                    self._line(
                        f"step {step + 1} of {len(self._ladder)}: {users} users for "
                        f"{self._step_s:g} s"
                    )
            case SecondPassed():
                if self._is_terminal:
                    passed = message.at - self._began
                    left_s = max(0, round(self._step_s - passed))
                    self._draw(
                        message.step,
                        passed / self._step_s,
                        f"{message.users} users  "
                        f"{_summary(message.figures, message.failures)}  "
                        f"{left_s} s left",
                    )
            case StepEnded():
                text = f"{message.users} users  " + _summary(
                    message.steady or message.whole, message.whole.failures
                )
                if self._is_terminal:
                    self._draw(message.step, 1.0, text)
                    self.close()
                else:
                    self._line(f"  {text}")

    def close(self) -> None:
        """End the line of the bar."""
        if self._is_shown:
            self._line("")
            self._is_shown = False

    def _draw(self, step: int, share: float, text: str) -> None:
        full = round(min(share, 1.0) * _WIDTH)
        bar = "#" * full + "-" * (_WIDTH - full)
        head = f"step {step + 1} of {len(self._ladder)} [{bar}] "
        self._stream.write(f"\r{head}{text}\033[K")
        self._stream.flush()
        self._is_shown = True

    def _line(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()


def _summary(figures: Figures, failures: int) -> str:
    p99 = NO_VALUE if figures.p99_ms is None else f"{figures.p99_ms:g}"
    return f"{figures.rps:,.1f} RPS  p99 {p99} ms  {failures} failures"


def load_columns() -> list[str]:
    """Return the column names of the table."""
    return list(_COLUMNS)


def load_rows(steps: Sequence[StepResult]) -> list[list[str]]:
    """Return a row for each load step."""
    return [_row(step) for step in steps]


def load_table(result: LoadResult) -> list[str]:
    """Return the lines of the table, with notes."""
    rows = [load_columns(), *load_rows(result.steps)]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    if any(step.steady is None for step in result.steps):
        lines += ["", "* the step ended before all of its users were spawned"]
    if result.steps:
        cores = result.steps[-1].figures.load_cores
        lines += [
            "",
            "Figures of each step since all of its users were spawned; failures of the "
            "whole step.",
            f"The load generator shared the {available_cores()} cores of this machine "
            f"and used {cores:.2f} of them in the last step.",
        ]
    return lines


def _row(result: StepResult) -> list[str]:
    figures = result.figures
    batch = None if result.server is None else result.server.mean_batch_rows
    return [
        f"{result.users}{'' if result.steady else '*'}",
        f"{result.step.spawn_per_s:g}",
        f"{figures.rps:,.1f}",
        *(
            NO_VALUE if value is None else f"{value:g}"
            for value in (
                figures.p50_ms,
                figures.p90_ms,
                figures.p99_ms,
                figures.max_ms,
            )
        ),
        f"{result.whole.failures}",
        NO_VALUE if batch is None else f"{batch:.2f}",
    ]
