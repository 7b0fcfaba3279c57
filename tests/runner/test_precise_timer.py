"""PreciseTimer calls back once, more precisely than the loop if the kernel helps."""

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


def ringing(bell: Bell) -> PreciseTimer:
    return PreciseTimer(loop=asyncio.get_running_loop(), callback=bell.ring)


async def test_timer_calls_back_once_and_not_early(has_timers: bool) -> None:
    bell = Bell()
    timer = ringing(bell)
    for delay_s in (0.0003, 0.002, 0.0, -1.0):
        at = time.monotonic() + delay_s
        timer.set(at)
        assert await bell.wait() >= at - (0 if has_timers else 0.002)
    assert len(bell.rung) == 4
    timer.close()


async def test_kernel_timer_is_precise() -> None:
    if sys.platform != "linux":
        pytest.skip("timerfd is Linux's")
    bell = Bell()
    timer = ringing(bell)
    late_s = 1.0
    while late_s >= 0.0005:  # the machine was busy with other things
        at = time.monotonic() + 0.0003
        timer.set(at)
        late_s = await bell.wait() - at
        assert late_s >= 0
    timer.close()


async def test_timer_uses_the_last_setting(has_timers: bool) -> None:
    bell = Bell()
    timer = ringing(bell)
    timer.set(time.monotonic() + 0.001)
    at = time.monotonic() + 0.02
    timer.set(at)
    assert await bell.wait() >= at - 0.002
    timer.set(time.monotonic() + 1000)
    timer.set(time.monotonic() + 0.001)
    await bell.wait()
    assert len(bell.rung) == 2
    timer.close()


async def test_cancelled_timer_does_not_call_back(has_timers: bool) -> None:
    bell, other = Bell(), Bell()
    timer, later = ringing(bell), ringing(other)
    timer.set(time.monotonic() + 0.001)
    timer.is_set = False
    later.set(time.monotonic() + 0.01)
    await other.wait()
    assert bell.rung == []
    timer.set(time.monotonic() + 0.001)
    timer.close()
    later.set(time.monotonic() + 0.01)
    await other.wait()
    assert bell.rung == []
    later.close()


async def test_timer_can_be_closed_at_any_time(has_timers: bool) -> None:
    never_set = ringing(Bell())
    never_set.close()
    timer = ringing(Bell())
    timer.set(time.monotonic() + 1000)
    timer.close()
    timer.close()


async def test_setting_an_expiring_timer_again_does_not_call_back() -> None:
    if sys.platform != "linux":
        pytest.skip("timerfd is Linux's")
    bell = Bell()
    timer = ringing(bell)
    timer.set(time.monotonic() - 1)  # expired: the loop will call
    timer.set(time.monotonic() + 1000)  # but no more when it does
    timer._expired()
    assert bell.rung == []
    timer.set(time.monotonic() + 0.001)
    await bell.wait()
    assert len(bell.rung) == 1
    timer.close()
