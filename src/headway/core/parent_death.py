"""Ends a child process when its parent dies, however that happens.

The main modules of child processes call die_with_parent. For other commands,
with_parent_death runs this module first, which then becomes the command.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have the kernel send SIGTERM when the parent dies, as during a long model load.

    Only Linux can; elsewhere nothing happens.

    Args:
        parent: The parent's process id, which shows whether it is dead already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            sys.exit(1)


def with_parent_death(command: list[str]) -> list[str]:
    """Return a command that runs `command` and ends with this process."""
    module = [sys.executable, "-m", "headway.core.parent_death"]
    return [*module, str(os.getpid()), *command]


def main() -> None:
    """Become the command, which inherits the kernel's setting."""
    die_with_parent(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
