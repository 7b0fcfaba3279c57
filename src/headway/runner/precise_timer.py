"""A timer precise enough for gather windows of some hundred microseconds.

libuv's timers, and so uvloop's `call_later`, count whole milliseconds. Linux's timerfd
is exact; on other systems the loop's own timer is used. The dispatcher sets it.
"""

import asyncio
import ctypes
import os
import sys
from collections.abc import Callable

_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


class PreciseTimer:
    """Calls back once at a monotonic time; opens a timer of the kernel when first set.

    Args:
        loop: Runs the callback.
        callback: What to call.

    Attributes:
        is_set: Whether it is going to call back; clear it to prevent that.
    """

    def __init__(
        self, *, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._callback = callback
        self._fd: int | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._spec = _TimerSpec()
        self._is_open = False
        self.is_set = False

    def _open(self) -> None:
        self._is_open = True
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
        if not self._is_open:
            self._open()
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
        self.is_set = False
        if self._handle is not None:
            self._handle.cancel()
        if self._fd is not None:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = None
