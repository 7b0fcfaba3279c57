"""Loads of workers: measured, shared, and levelled by moves that come to an end."""

import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headway.http import load_table
from headway.http.balancer import GAP, plan_move
from headway.http.load_table import SharedLoadTable, WorkerLoad, cpu_demand_s

SHARES = st.floats(0.0, 1.0)
LOADS = st.lists(
    st.none() | st.builds(WorkerLoad, SHARES, st.integers(0, 1000)),
    min_size=2,
    max_size=64,
)
LOOK_S = 0.25
STAY_S = 5.0
MOST = 8


# --- which worker moves connections to which


@given(LOADS)
def test_the_busiest_move_to_the_idlest_each_to_another(
    loads: list[WorkerLoad | None],
) -> None:
    plans = [plan_move(loads, index) for index in range(len(loads))]
    receivers = [plan[0] for plan in plans if plan is not None]
    assert len(set(receivers)) == len(receivers)
    for sender, plan in enumerate(plans):
        if plan is None:
            continue
        mine, theirs = loads[sender], loads[plan[0]]
        assert mine is not None
        assert theirs is not None, "nothing moves to a dead worker"
        assert mine.busy - theirs.busy >= GAP
        assert plans[plan[0]] is None, "no worker sends and receives"
    alive = [load.busy for load in loads if load is not None]
    if alive and max(alive) - min(alive) >= GAP:
        assert receivers


@given(LOADS, st.integers(1, 200))
def test_the_receiver_does_not_become_much_busier(
    loads: list[WorkerLoad | None], active: int
) -> None:
    for sender in range(len(loads)):
        plan = plan_move(loads, sender)
        mine = loads[sender]
        if plan is None or mine is None:
            continue
        theirs = loads[plan[0]]
        assert theirs is not None
        count = int(plan[1] * active)
        assert 0 <= count < active
        each = mine.busy / active
        left, received = mine.busy - count * each, theirs.busy + count * each
        assert received - left <= GAP / 2 + 1e-9
        assert max(left, received) <= mine.busy


def test_two_connections_of_one_worker_are_parted() -> None:
    plan = plan_move([WorkerLoad(0.97, 2), WorkerLoad(0.02, 0)], 0)
    assert plan is not None
    receiver, share = plan
    assert (receiver, int(2 * share), int(1 * share)) == (1, 1, 0)


# --- moves come to an end


class Worker:
    def __init__(self, costs: list[float]) -> None:
        self.connections = [(cost, -STAY_S) for cost in costs]
        self.seen = 0.0
        self.move_at: float | None = None

    @property
    def busy(self) -> float:
        return min(sum(cost for cost, _ in self.connections), 1.0)

    def look(self) -> WorkerLoad:
        self.seen = (self.seen + self.busy) / 2
        return WorkerLoad(self.seen, len(self.connections))


def balanced(costs: list[list[float]], seed: int) -> tuple[list[Worker], list[float]]:
    """Let workers with these connections balance, and return when each was moved."""
    chance = random.Random(seed)
    workers = [Worker(each) for each in costs]
    moves = []
    for tick in range(int(200 / LOOK_S)):
        now = tick * LOOK_S
        loads: list[WorkerLoad | None] = [worker.look() for worker in workers]
        for index, worker in enumerate(workers):
            plan = plan_move(loads, index)
            if plan is None:
                worker.move_at = None
                continue
            if worker.move_at is None:
                worker.move_at = now + 0.5
            if now < worker.move_at:
                continue
            movable = [each for each in worker.connections if now - each[1] >= STAY_S]
            count = min(int(plan[1] * len(worker.connections)), MOST, len(movable))
            for chosen in chance.sample(movable, count):
                worker.connections.remove(chosen)
                workers[plan[0]].connections.append((chosen[0], now))
                moves.append(now)
            if count:
                worker.move_at = now + 1.0
    return workers, moves


@settings(max_examples=20, deadline=None)
@example(counts=[0, 6], cost=0.05, seed=0)  # just the gap
@given(
    st.lists(st.integers(0, 12), min_size=2, max_size=64),
    st.sampled_from([0.02, 0.05, 0.1, 0.3, 0.5, 1.0]),
    st.integers(0, 99),
)
def test_like_connections_come_to_rest_where_no_move_helps(
    counts: list[int], cost: float, seed: int
) -> None:
    workers, moves = balanced([[cost] * count for count in counts], seed)
    assert sum(len(worker.connections) for worker in workers) == sum(counts)
    assert max(moves, default=0.0) < 150, "moves never end"
    most = max(workers, key=lambda worker: worker.busy)
    least = min(workers, key=lambda worker: worker.busy)
    apart = most.busy - least.busy
    if apart >= GAP + 0.01:  # only what cannot be divided
        each = most.busy / len(most.connections)
        assert apart / 2 + GAP / 4 < each + 0.01


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.floats(0.0, 1.0), max_size=8), min_size=2, max_size=16),
    st.integers(0, 99),
)
def test_unlike_connections_come_to_rest(costs: list[list[float]], seed: int) -> None:
    _, moves = balanced(costs, seed)
    assert max(moves, default=0.0) < 150, "moves never end"


def test_nearly_all_is_served_that_could_be() -> None:
    before = after = most = 0.0
    for seed in range(40):
        chance = random.Random(seed)
        costs = [
            [chance.random() ** 2 for _ in range(chance.randrange(9))] for _ in range(4)
        ]
        workers, _ = balanced(costs, seed)
        before += sum(min(sum(each), 1.0) for each in costs)
        after += sum(worker.busy for worker in workers)
        most += min(sum(map(sum, costs)), len(costs))
    assert before < 0.9 * most
    assert after > 0.95 * most


# --- CPU time


def spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def demand_of_spinning(seconds: float) -> tuple[float, float]:
    """Return the demand of this process while it spins, and how long that took."""
    began, before = time.monotonic(), cpu_demand_s()
    spin(seconds)
    after, ended = cpu_demand_s(), time.monotonic()
    return after - before, ended - began


def test_demand_includes_waits_for_a_core() -> None:
    # However many processes share the machine's cores.
    wanted_s, took_s = demand_of_spinning(0.3)
    assert wanted_s == pytest.approx(took_s, abs=0.1)


def test_demand_includes_threads() -> None:
    before = cpu_demand_s()
    thread = threading.Thread(target=spin, args=(0.3,))
    thread.start()
    thread.join()
    assert cpu_demand_s() > before


@pytest.mark.parametrize("file", ["no-such-file", "comm"])
def test_demand_without_statistics_is_cpu_use(
    monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    monkeypatch.setattr(load_table, "_SCHEDSTAT", f"/proc/self/{file}")
    used = time.process_time()
    assert 0 < demand_of_spinning(0.1)[0] <= time.process_time() - used


# --- the table


def started_table(folder: Path, index: int) -> SharedLoadTable:
    table = SharedLoadTable(path=folder / "load", index=index, workers=3)
    table.start()
    return table


def test_each_worker_sees_all_loads(tmp_path: Path) -> None:
    tables = [started_table(tmp_path, index) for index in range(3)]
    tables[0].publish(WorkerLoad(0.25, 7), 100.0)
    tables[2].publish(WorkerLoad(1.0, 0), 100.5)
    for table in tables:
        assert table.read(101.0) == [WorkerLoad(0.25, 7), None, WorkerLoad(1.0, 0)]


def test_another_process_sees_a_load_until_it_is_stale(tmp_path: Path) -> None:
    mine = started_table(tmp_path, 0)
    script = (
        "import sys; from pathlib import Path\n"
        "from headway.http.load_table import SharedLoadTable, WorkerLoad\n"
        "made = SharedLoadTable(path=Path(sys.argv[1]), index=1, workers=3)\n"
        "made.start(); made.publish(WorkerLoad(0.5, 3), 100.0)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "load")]
    subprocess.run(command, check=True, timeout=15)
    assert mine.read(101.0) == [None, WorkerLoad(0.5, 3), None]
    assert mine.read(102.0) == [None, None, None]


def test_a_withdrawn_load_is_gone_at_once(tmp_path: Path) -> None:
    one, two = started_table(tmp_path, 0), started_table(tmp_path, 1)
    one.publish(WorkerLoad(0.5, 3), 100.0)
    assert two.read(100.0)[0] is not None
    one.withdraw()
    assert two.read(100.0) == [None, None, None]


def test_a_restarted_worker_keeps_the_loads_of_others(tmp_path: Path) -> None:
    started_table(tmp_path, 0).publish(WorkerLoad(0.5, 3), 100.0)
    again = started_table(tmp_path, 1)
    again.publish(WorkerLoad(0.1, 1), 100.0)
    assert again.read(100.0) == [WorkerLoad(0.5, 3), WorkerLoad(0.1, 1), None]


def test_a_table_is_empty_just_after_boot(tmp_path: Path) -> None:
    assert started_table(tmp_path, 0).read(0.5) == [None, None, None]


def test_a_table_in_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        started_table(tmp_path / "gone", 0)
