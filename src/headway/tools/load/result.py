"""What a load has measured: each rung, each second, and the server's own figures.

load fills it; the table, the JSON file and the report are made of it.
"""

import msgspec

from headway.tools.load.ladder import Rung
from headway.tools.load.messages import Figures
from headway.tools.load.server_watch import ServerFigures

__all__ = ["LoadResult", "RungResult", "Second"]


class RungResult(msgspec.Struct, frozen=True, kw_only=True):
    """A rung that was climbed, if only in part."""

    rung: Rung
    users: int
    """That were to be there at its end."""
    whole: Figures
    """Its ramp included."""
    steady: Figures | None
    """Once all users were there."""
    server: ServerFigures | None
    """The server's own figures of the same time: steady, or whole if that is None."""
    server_whole: ServerFigures | None
    """Those of the whole rung."""

    @property
    def figures(self) -> Figures:
        """Those to compare rungs by."""
        return self.steady or self.whole


class Second(msgspec.Struct, frozen=True, kw_only=True):
    """A second of the load, as its users saw it."""

    at_s: float
    """Its end, from the beginning of the first rung."""
    rung: int
    users: int
    figures: Figures


class LoadResult(msgspec.Struct, kw_only=True):
    """All of it, as far as it went."""

    url: str
    users_from: str
    """What the users did: the locustfile, or the APIs whose samples they sent."""
    rungs: list[RungResult] = []
    seconds: list[Second] = []
    server_seconds: list[ServerFigures] = []
    """Their times are from the beginning of the first rung, as those of `seconds`."""
    errors: list[str] = []
    """What failed, as in "12 x POST /ask: ...", the most frequent first."""
    is_whole: bool = False
    """Whether all rungs were climbed to their end."""

    @property
    def requests(self) -> int:
        """Of all rungs."""
        return sum(rung.whole.requests for rung in self.rungs)

    @property
    def failures(self) -> int:
        """Of all rungs."""
        return sum(rung.whole.failures for rung in self.rungs)
