"""Ends a process when the one that started it is gone, however that came about.

Main modules of child processes call end_with. `leashed` wraps a command that knows
nothing of it: this module is its main module first, and then becomes the command.
"""

import ctypes
import os
import signal
import sys

__all__ = ["end_with", "leashed"]

_PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Ask for SIGTERM when the parent dies: a model may be loading for minutes.

    Elsewhere than on Linux nothing happens.

    Args:
        parent: Its process id, so that its death before this call is seen as well.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            sys.exit(1)  # it died before it could be asked for


def leashed(command: list[str]) -> list[str]:
    """Return the command that runs `command` and ends with this process."""
    return [sys.executable, "-m", "headway.leash", str(os.getpid()), *command]


def main() -> None:
    """Become the command; what was asked for outlives that."""
    end_with(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
