"""Decides how many connections an API worker gives away, and to which neighbour; pure.

http.neighbours asks it some times a second, with the loads that http.load_board shows.
"""

from collections.abc import Sequence

import msgspec

__all__ = ["Balance", "BalanceRules", "Load", "Transfer"]


class BalanceRules(msgspec.Struct, frozen=True, kw_only=True):
    """When connections are moved, and how often at the most."""

    interval_s: float = 0.25
    """Between two looks at the loads."""

    gap: float = 0.3
    """Cores by which a worker must be busier than a neighbour to give to it."""

    patience_s: float = 0.5
    """How long it must have been so: a burst is over sooner than a move pays."""

    rest_s: float = 1.0
    """Between two moves of one worker, so that the loads show what the last one did."""

    stay_s: float = 5.0
    """A connection that was moved is not moved again before."""

    recent_s: float = 1.0
    """A connection that asked nothing for so long is no part of the load."""

    most: int = 8
    """Connections in one move; a queue of datagrams often holds no more than 10."""

    answer_s: float = 0.25
    """How long a neighbour has to take a connection, which is served by nobody then."""


class Load(msgspec.Struct, frozen=True):
    """What a worker has to do."""

    busy: float
    """Of a core, how much it would use: 0 to 1, as an event loop has one thread."""

    connections: int
    """That are open."""


class Transfer(msgspec.Struct, frozen=True):
    """A share of a worker's connections, for a neighbour."""

    neighbour: int
    share: float
    """Of the connections that make the worker's load."""

    most: int

    def count(self, active: int) -> int:
        """Return how many of so many connections, each a like part of the load, go."""
        return min(int(self.share * active), self.most)


class Balance:
    """The decisions of one worker.

    Args:
        index: Which of the loads is its own.
        rules: When to move.
    """

    __slots__ = ("_index", "_rest_until", "_rules", "_since")

    def __init__(self, *, index: int, rules: BalanceRules) -> None:
        self._index = index
        self._rules = rules
        self._since: float | None = None
        self._rest_until = 0.0

    def decide(self, loads: Sequence[Load | None], now: float) -> Transfer | None:
        """Return what to give away, if it is time to.

        Args:
            loads: Of all workers; None: it serves nobody, or not for long any more.
            now: Monotonic seconds.
        """
        rules = self._rules
        neighbour = _partner(loads, self._index)
        mine = loads[self._index]
        theirs = None if neighbour is None else loads[neighbour]
        if (
            neighbour is None
            or mine is None
            or theirs is None
            or mine.busy - theirs.busy < rules.gap
        ):
            self._since = None
            return None
        if self._since is None:
            self._since = now
        if now - self._since < rules.patience_s or now < self._rest_until:
            return None
        # To the middle, or so little past it that the neighbour does not give back. One
        # connection that makes the whole load is thereby never given.
        given = (mine.busy - theirs.busy) / 2 + rules.gap / 4
        return Transfer(neighbour, given / mine.busy, rules.most)

    def gave(self, now: float) -> None:
        """Rest, as connections were given away."""
        self._since = None
        self._rest_until = now + self._rules.rest_s


def _partner(loads: Sequence[Load | None], index: int) -> int | None:
    """Return to whom a worker would give: the busiest to the idlest, and so on.

    All workers see the same loads, so no two of them choose the same neighbour.
    """
    order = sorted(
        (load.busy, load.connections, number)
        for number, load in enumerate(loads)
        if load is not None
    )
    ranks = [number for _, _, number in order]
    if index not in ranks:
        return None
    place = ranks.index(index)
    opposite = len(ranks) - 1 - place
    return ranks[opposite] if opposite < place else None
