"""The alarm: once, at its time, finer than a millisecond where the kernel helps."""

import asyncio
import sys
import time

import pytest

from headway.runner.precise_timer import PreciseTimer


class Bell:
    """Notes when it rings."""

    def __init__(self) -> None:
        self.rung: list[float] = []
        self._rings = asyncio.Event()

    def ring(self) -> None:
        self.rung.append(time.monotonic())
        self._rings.set()

    async def wait(self) -> float:
        async with asyncio.timeout(5):
            await self._rings.wait()
        self._rings.clear()
        return self.rung[-1]


@pytest.fixture(params=["timerfd", "loop"])
def has_timers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Run with the kernel's timers, and as where there are none."""
    if request.param == "loop":
        monkeypatch.setattr(sys, "platform", "elsewhere")
    elif sys.platform != "linux":
        pytest.skip("timerfd is Linux's")
    return bool(request.param == "timerfd")


def started(bell: Bell) -> PreciseTimer:
    alarm = PreciseTimer(loop=asyncio.get_running_loop(), callback=bell.ring)
    alarm.start()
    return alarm


async def test_it_rings_once_and_not_before_its_time(has_timers: bool) -> None:
    bell = Bell()
    alarm = started(bell)
    for delay_s in (0.0003, 0.002, 0.0, -1.0):
        at = time.monotonic() + delay_s
        alarm.set(at)
        assert await bell.wait() >= at - (0 if has_timers else 0.002)
    assert len(bell.rung) == 4
    alarm.close()


async def test_the_kernels_timers_are_exact() -> None:
    if sys.platform != "linux":
        pytest.skip("timerfd is Linux's")
    bell = Bell()
    alarm = started(bell)
    late_s = 1.0
    while late_s >= 0.0005:  # the machine was busy with other things
        at = time.monotonic() + 0.0003
        alarm.set(at)
        late_s = await bell.wait() - at
        assert late_s >= 0
    alarm.close()


async def test_the_last_setting_counts(has_timers: bool) -> None:
    bell = Bell()
    alarm = started(bell)
    alarm.set(time.monotonic() + 0.001)
    at = time.monotonic() + 0.02
    alarm.set(at)
    assert await bell.wait() >= at - 0.002
    alarm.set(time.monotonic() + 1000)
    alarm.set(time.monotonic() + 0.001)
    await bell.wait()
    assert len(bell.rung) == 2
    alarm.close()


async def test_what_is_cancelled_does_not_ring(has_timers: bool) -> None:
    bell, other = Bell(), Bell()
    alarm, later = started(bell), started(other)
    alarm.set(time.monotonic() + 0.001)
    alarm.cancel()
    later.set(time.monotonic() + 0.01)
    await other.wait()
    assert bell.rung == []
    alarm.set(time.monotonic() + 0.001)
    alarm.close()
    later.set(time.monotonic() + 0.01)
    await other.wait()
    assert bell.rung == []
    later.close()


async def test_it_can_be_closed_at_any_time(has_timers: bool) -> None:
    never_started = PreciseTimer(loop=asyncio.get_running_loop(), callback=Bell().ring)
    never_started.close()
    alarm = started(Bell())
    alarm.close()
    alarm.close()


async def test_setting_it_anew_while_it_expires_is_no_ring() -> None:
    if sys.platform != "linux":
        pytest.skip("timerfd is Linux's")
    bell = Bell()
    alarm = started(bell)
    alarm.set(time.monotonic() - 1)  # expired: the loop will call
    alarm.set(time.monotonic() + 1000)  # but no more when it does
    alarm._expired()
    assert bell.rung == []
    alarm.set(time.monotonic() + 0.001)
    await bell.wait()
    assert len(bell.rung) == 1
    alarm.close()
