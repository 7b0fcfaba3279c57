"""Time on a core: what was used counts, and what was waited for."""

import threading
import time

import pytest

from headway.http import cpu_demand
from headway.http.cpu_demand import CpuDemand


def spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def wanted(seconds: float) -> tuple[float, float]:
    """Return what this process wanted while it did nothing but spin, and for how long.

    That is longer than it was to spin, if others have the core at the end.
    """
    meter = CpuDemand()
    meter.start()
    began, before = time.monotonic(), meter.wanted_s()
    spin(seconds)
    after, ended = meter.wanted_s(), time.monotonic()
    meter.close()
    return after - before, ended - began


def test_all_time_is_wanted_by_one_who_spins() -> None:
    # However many others there are on the machine's cores.
    wanted_s, took_s = wanted(0.3)
    assert wanted_s == pytest.approx(took_s, abs=0.1)


def test_threads_count() -> None:
    meter = CpuDemand()
    meter.start()
    before = meter.wanted_s()
    thread = threading.Thread(target=spin, args=(0.3,))
    thread.start()
    thread.join()
    assert meter.wanted_s() > before
    meter.close()


def test_without_statistics_use_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_demand, "_SCHEDSTAT", "/proc/self/no-such-file")
    used = time.process_time()
    assert 0 < wanted(0.1)[0] <= time.process_time() - used


def test_statistics_of_another_form_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cpu_demand, "_SCHEDSTAT", "/proc/self/comm")
    used = time.process_time()
    assert 0 < wanted(0.1)[0] <= time.process_time() - used
