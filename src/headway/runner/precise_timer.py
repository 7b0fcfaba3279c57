"""A timer precise enough for gather windows of some hundred microseconds.

libuv's timers, and so uvloop's `call_later`, count whole milliseconds. Linux's timerfd
is exact; on other systems the loop's own timer is used. The dispatcher sets it.
"""

import asyncio
import ctypes
import os
import sys
from collections.abc import Callable

__all__ = ["PreciseTimer"]

_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


class PreciseTimer:
    """Calls back once at a monotonic time.

    Args:
        loop: Runs the callback.
        callback: What to call.

    Attributes:
        is_set: Whether it is going to call back.
    """

    def __init__(
        self, *, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._callback = callback
        self._fd: int | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._spec = _TimerSpec()
        self.is_set = False

    def start(self) -> None:
        """Open a timer of the kernel, where it has one."""
        if sys.platform != "linux":
            return
        self._libc = ctypes.CDLL(None, use_errno=True)
        fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if fd >= 0:
            self._fd = fd
            self._loop.add_reader(fd, self._expired)

    def set(self, at: float) -> None:
        """Call back at `at`, instead of at the time set before."""
        self.is_set = True
        if self._fd is None:
            if self._handle is not None:
                self._handle.cancel()
            delay = max(at - self._loop.time(), 0)
            self._handle = self._loop.call_later(delay, self._expired)
            return
        nanoseconds = max(int(at * 1e9), 1)
        value = self._spec.value
        value.seconds, value.nanoseconds = divmod(nanoseconds, 1_000_000_000)
        self._libc.timerfd_settime(self._fd, _ABSOLUTE, ctypes.byref(self._spec), None)

    def cancel(self) -> None:
        """Do not call back."""
        self.is_set = False

    def _expired(self) -> None:
        if self._fd is not None:
            try:
                os.read(self._fd, 8)
            except BlockingIOError:
                return  # set again between the event and this call
        if self.is_set:
            self.is_set = False
            self._callback()

    def close(self) -> None:
        """Close the timer."""
        self.cancel()
        if self._handle is not None:
            self._handle.cancel()
        if self._fd is not None:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = None
