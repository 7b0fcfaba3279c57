"""Turns Ctrl-C and similar signals into one exception, at a safe time."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    def __init__(self, number):
        super().__init__(signal.Signals(number).name)
        self.number = number


class Interruption:
    """Raises Interrupted at the first signal; later ones change nothing."""

    def __init__(self):
        self._deferrals = 0
        self._pending = None
        self._is_raised = False

    def install(self):
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
                signal.signal(number, self._on_signal)

    def _on_signal(self, number, _frame):
        if self._pending is None:
            self._pending = number
        self._raise_if_due()

    def _raise_if_due(self):
        if self._pending is not None and not (self._deferrals or self._is_raised):
            self._is_raised = True
            raise Interrupted(self._pending)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Delay a signal, so that no process is started and then forgotten."""
        self._deferrals += 1
        try:
            yield
        finally:
            self._deferrals -= 1
        self._raise_if_due()
