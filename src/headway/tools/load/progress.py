"""A bar for each rung that is climbed, for who waits.

cli/load shows them on the standard error; a file gets a line for each rung instead.
"""

from collections.abc import Sequence
from typing import TextIO

from headway.tools.load.ladder import Rung
from headway.tools.load.messages import Began, Ended, Figures, Message, Tick

__all__ = ["Progress"]

_WIDTH = 24


class Progress:
    """Shows what Locust tells.

    Args:
        stream: Where.
        ladder: What is climbed.
        rung_s: Time of each rung.
    """

    def __init__(self, stream: TextIO, ladder: Sequence[Rung], rung_s: float) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._ladder = ladder
        self._rung_s = rung_s
        self._began = 0.0
        self._is_shown = False

    def __call__(self, message: Message) -> None:
        """Show one message."""
        match message:
            case Began(rung, at):
                self._began = at
                if self._is_terminal:
                    self._draw(rung, 0.0, f"{self._ladder[rung].users} users to come")
                else:
                    self._line(
                        f"rung {rung + 1} of {len(self._ladder)}: "
                        f"{self._ladder[rung].users} users for {self._rung_s:g} s"
                    )
            case Tick():
                if self._is_terminal:
                    passed = message.at - self._began
                    left_s = max(0, round(self._rung_s - passed))
                    self._draw(
                        message.rung,
                        passed / self._rung_s,
                        f"{message.users} users  "
                        f"{_summary(message.figures, message.failures)}  "
                        f"{left_s} s left",
                    )
            case Ended():
                text = f"{message.users} users  " + _summary(
                    message.steady or message.whole, message.whole.failures
                )
                if self._is_terminal:
                    self._draw(message.rung, 1.0, text)
                    self.close()
                else:
                    self._line(f"  {text}")

    def close(self) -> None:
        """Leave the line on which the bar is."""
        if self._is_shown:
            self._line("")
            self._is_shown = False

    def _draw(self, rung: int, share: float, text: str) -> None:
        full = round(min(share, 1.0) * _WIDTH)
        bar = "#" * full + "-" * (_WIDTH - full)
        head = f"rung {rung + 1} of {len(self._ladder)} [{bar}] "
        self._stream.write(f"\r{head}{text}\033[K")
        self._stream.flush()
        self._is_shown = True

    def _line(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()


def _summary(figures: Figures, failures: int) -> str:
    p99 = "-" if figures.p99_ms is None else f"{figures.p99_ms:g}"
    return f"{figures.rps:,.1f} RPS  p99 {p99} ms  {failures} failures"
