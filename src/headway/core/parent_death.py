"""Ends a process when the one that started it is gone, however that came about.

Main modules of child processes call die_with_parent. `with_parent_death` wraps a
command that knows
nothing of it: this module is its main module first, and then becomes the command.
"""

import ctypes
import os
import signal
import sys

__all__ = ["die_with_parent", "with_parent_death"]

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask for SIGTERM when the parent dies: a model may be loading for minutes.

    Elsewhere than on Linux nothing happens.

    Args:
        parent: Its process id, so that its death before this call is seen as well.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            sys.exit(1)  # it died before it could be asked for


def with_parent_death(command: list[str]) -> list[str]:
    """Return the command that runs `command` and ends with this process."""
    return [
        sys.executable,
        "-m",
        "headway.core.parent_death",
        str(os.getpid()),
        *command,
    ]


def main() -> None:
    """Become the command; what was asked for outlives that."""
    die_with_parent(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
