"""The outcome of resolve: every value, and where it came from.

The CLI makes one and the supervisor hands it to its child processes as JSON.
"""

import msgspec

from headway.config.schema import HeadwayConfig, RunnerConfig

__all__ = ["ResolvedConfig"]


class ResolvedConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Settings with their sources."""

    config: HeadwayConfig = HeadwayConfig()
    """`config.runners` holds the general values; see `runner` for one runner's."""
    runners: dict[str, RunnerConfig] = {}
    """Settings of the runners that were declared or have a section of their own."""
    sources: dict[str, str] = {}
    """Dotted key to "default", "headway.yaml:7", "$VARIABLE", "--flag" or "code"."""
    file: str | None = None
    """The configuration file that was read."""

    def runner(self, name: str) -> RunnerConfig:
        """Return the settings of one runner, the general ones if it has no own."""
        return self.runners.get(name, self.config.runners)

    def to_json(self) -> bytes:
        """Return it as JSON, for a child process."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, data: bytes | str) -> "ResolvedConfig":
        """Return what `to_json` wrote."""
        return msgspec.json.decode(data, type=cls)
