"""Who gives connections to whom: never the same neighbour twice, and it ends."""

import itertools
import random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from headway.http.balance import Balance, BalanceRules, Load, Transfer

RULES = BalanceRules()
SHARES = st.floats(0.0, 1.0)
LOADS = st.lists(
    st.none() | st.builds(Load, SHARES, st.integers(0, 1000)), min_size=2, max_size=64
)


def decided(loads: list[Load | None], index: int) -> Transfer | None:
    """Return the decision once the loads have been so for long enough."""
    balance = Balance(index=index, rules=RULES)
    balance.decide(loads, 100.0)
    return balance.decide(loads, 100.0 + RULES.patience_s)


@given(LOADS)
def test_the_busiest_give_to_the_idlest_each_to_another(
    loads: list[Load | None],
) -> None:
    gifts = [decided(loads, index) for index in range(len(loads))]
    takers = [gift.neighbour for gift in gifts if gift is not None]
    assert len(set(takers)) == len(takers)
    for giver, gift in enumerate(gifts):
        if gift is None:
            continue
        mine, theirs = loads[giver], loads[gift.neighbour]
        assert mine is not None
        assert theirs is not None, "nobody gives to who is gone"
        assert mine.busy - theirs.busy >= RULES.gap
        assert gifts[gift.neighbour] is None, "nobody gives and takes"
    alive = [load.busy for load in loads if load is not None]
    if alive and max(alive) - min(alive) >= RULES.gap:
        assert takers, "somebody gives"


@given(LOADS, st.integers(1, 200))
def test_the_neighbour_is_not_made_the_busier_by_much(
    loads: list[Load | None], active: int
) -> None:
    for giver in range(len(loads)):
        gift = decided(loads, giver)
        mine = loads[giver]
        if gift is None or mine is None:
            continue
        theirs = loads[gift.neighbour]
        assert theirs is not None
        count = gift.count(active)
        assert 0 <= count <= RULES.most
        assert count < active
        each = mine.busy / active
        left, given_ = mine.busy - count * each, theirs.busy + count * each
        assert given_ - left <= RULES.gap / 2 + 1e-9
        assert max(left, given_) <= mine.busy


def test_two_connections_of_one_worker_are_parted() -> None:
    gift = decided([Load(0.97, 2), Load(0.02, 0)], 0)
    assert gift is not None
    assert (gift.neighbour, gift.count(2), gift.count(1)) == (1, 1, 0)


def test_a_burst_moves_nothing() -> None:
    balance = Balance(index=0, rules=RULES)
    busy, idle = [Load(1.0, 2), Load(0.0, 0)], [Load(0.2, 2), Load(0.0, 0)]
    now = 50.0
    for _ in range(20):
        assert balance.decide(busy, now) is None
        assert balance.decide(busy, now + 0.9 * RULES.patience_s) is None
        assert balance.decide(idle, now + RULES.patience_s) is None
        now += 2 * RULES.patience_s


def test_after_a_move_comes_a_rest() -> None:
    balance = Balance(index=0, rules=RULES)
    loads: list[Load | None] = [Load(1.0, 9), Load(0.0, 0)]
    ticks = [step * RULES.interval_s for step in range(100)]
    gave = []
    for now in ticks:
        if balance.decide(loads, now) is not None:
            balance.gave(now)
            gave.append(now)
    assert len(gave) > 10
    assert all(b - a >= RULES.rest_s for a, b in itertools.pairwise(gave))


class Worker:
    def __init__(self, index: int, costs: list[float]) -> None:
        self.index = index
        self.balance = Balance(index=index, rules=RULES)
        self.connections = [(cost, -RULES.stay_s) for cost in costs]
        self.seen = 0.0

    @property
    def busy(self) -> float:
        return min(sum(cost for cost, _ in self.connections), 1.0)

    def look(self) -> Load:
        self.seen = (self.seen + self.busy) / 2
        return Load(self.seen, len(self.connections))


def balanced(costs: list[list[float]], seed: int) -> tuple[list[Worker], list[float]]:
    """Let workers with these connections balance, and return when each was moved."""
    chance = random.Random(seed)
    workers = [Worker(index, each) for index, each in enumerate(costs)]
    moves = []
    for tick in range(int(200 / RULES.interval_s)):
        now = tick * RULES.interval_s
        loads: list[Load | None] = [worker.look() for worker in workers]
        for worker in workers:
            gift = worker.balance.decide(loads, now)
            if gift is None:
                continue
            movable = [
                each for each in worker.connections if now - each[1] >= RULES.stay_s
            ]
            count = min(gift.count(len(worker.connections)), len(movable))
            for chosen in chance.sample(movable, count):
                worker.connections.remove(chosen)
                workers[gift.neighbour].connections.append((chosen[0], now))
                moves.append(now)
            if count:
                worker.balance.gave(now)
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
    assert max(moves, default=0.0) < 150, "it goes on for ever"
    most = max(workers, key=lambda worker: worker.busy)
    least = min(workers, key=lambda worker: worker.busy)
    apart = most.busy - least.busy
    if apart >= RULES.gap + 0.01:  # only what cannot be divided
        each = most.busy / len(most.connections)
        assert apart / 2 + RULES.gap / 4 < each + 0.01


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.floats(0.0, 1.0), max_size=8), min_size=2, max_size=16),
    st.integers(0, 99),
)
def test_unlike_connections_come_to_rest(costs: list[list[float]], seed: int) -> None:
    _, moves = balanced(costs, seed)
    assert max(moves, default=0.0) < 150, "it goes on for ever"


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
