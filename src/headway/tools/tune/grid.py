"""The settings that the tuner chooses from, and their keys in a configuration.

cli/tune and cli/walk build a grid from the service's plan; search sees only its values.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from headway.config.resolution import ResolvedConfig
from headway.server.placement import RunnerPlan, ServicePlan, plan_replicas
from headway.tools.tune.trial import Setting

KeyPath = tuple[str, ...]
_FACTOR = 4
"""Ratio between the batch sizes tried; smaller differences hardly show."""

_UNITS = {
    "workers": ("API worker", "API workers"),
    "threads": ("thread", "threads"),
    "replicas": ("replica", "replicas"),
}


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One number to choose, with its candidate values."""

    what: Literal["workers", "max_batch_size", "threads", "replicas"]
    values: tuple[int, ...]
    """The current value comes first."""
    runner: str = ""
    """Name of the runner; empty for settings of the API server."""
    names_runner: bool = False
    """Whether texts include the runner's name, because there are several runners."""
    multi_threaded: bool = True
    """Whether the runner uses its cores as threads; otherwise as replicas."""

    @property
    def key(self) -> KeyPath:
        """The key in the configuration."""
        if self.what == "workers":
            return "api_server", "workers"
        below: KeyPath = ("resources", "cpu")
        if self.what == "max_batch_size":
            below = ("batching", "max_batch_size")
        elif self.what == "replicas" and self.multi_threaded:
            below = ("workers_per_resource",)
        return "runners", self.runner, *below

    @property
    def title(self) -> str:
        """The name of the choice, as a column header."""
        unit = "batches up to" if self.what == "max_batch_size" else None
        return self._prefix + (unit or _UNITS[self.what][1])

    def text(self, value: int) -> str:
        """Return a value as text."""
        if self.what == "max_batch_size":
            return f"{self._prefix}batches up to {value}"
        return f"{self._prefix}{value} {_UNITS[self.what][value != 1]}"

    @property
    def _prefix(self) -> str:
        return f"{self.runner}: " if self.names_runner else ""


class Grid(msgspec.Struct, frozen=True):
    """All choices of a service."""

    choices: tuple[Choice, ...]
    cores: int

    @property
    def values(self) -> tuple[tuple[int, ...], ...]:
        """The values of each choice, for the search."""
        return tuple(choice.values for choice in self.choices)

    def text(self, setting: Setting) -> str:
        """Return a setting as text."""
        pairs = zip(self.choices, setting, strict=True)
        return ", ".join(choice.text(value) for choice, value in pairs)

    def excess(self, setting: Setting) -> str:
        """Return why a setting is not worth a trial; empty if it is."""
        for place, choice in enumerate(self.choices):
            if choice.what == "threads":
                threads, replicas = setting[place], self._replicas(setting, choice)
                if min(threads, replicas) > 1 and threads * replicas > self.cores:
                    return f"{replicas} replicas of {threads} threads are too many"
        return ""

    def keys(self, setting: Setting) -> dict[KeyPath, int]:
        """Return the configuration keys and values of a setting."""
        found: dict[KeyPath, int] = {}
        for choice, value in zip(self.choices, setting, strict=True):
            if choice.what == "threads":
                value *= self._replicas(setting, choice)
            elif choice.what == "replicas":
                # Without a choice of threads, each replica has one.
                base = ("runners", choice.runner)
                found.setdefault((*base, "resources", "cpu"), value)
                found[(*base, "workers_per_resource")] = 1
            found[choice.key] = value
        return found

    def _replicas(self, setting: Setting, threads: Choice) -> int:
        for choice, value in zip(self.choices, setting, strict=True):
            if choice.what == "replicas" and choice.runner == threads.runner:
                return value
        return 1


def grid_of(plan: ServicePlan, config: ResolvedConfig, cores: int) -> Grid:
    """Return the choices for a service.

    Args:
        plan: The service's description.
        config: Its current configuration.
        cores: Cores of the machine.
    """
    workers = config.config.api_server.workers or cores
    choices = [Choice(what="workers", values=_with(workers, _powers(cores)))]
    for runner in plan.runners:
        choices += _choices(runner, config, cores, len(plan.runners) > 1)
    return Grid(
        choices=tuple(choice for choice in choices if len(choice.values) > 1),
        cores=cores,
    )


def _choices(
    runner: RunnerPlan, config: ResolvedConfig, cores: int, several: bool
) -> Iterator[Choice]:
    settings = config.runner(runner.name)
    batching = settings.batching
    if batching.enabled and any(spec.batchable for spec in runner.methods.values()):
        size = batching.max_batch_size
        near = (size * _FACTOR, size // _FACTOR)
        yield Choice(
            what="max_batch_size",
            values=_with(size, [n for n in near if 0 < n <= batching.max_queue_rows]),
            runner=runner.name,
            names_runner=several,
        )
    if runner.uses_gpu and settings.resources.gpu:
        return  # replicas would share GPU memory: the user decides
    replicas = plan_replicas(runner, settings, cores)
    if runner.multi_threaded:
        yield Choice(
            what="threads",
            values=_with(replicas[0].threads, _powers(cores)),
            runner=runner.name,
            names_runner=several,
        )
    yield Choice(
        what="replicas",
        values=_with(len(replicas), _powers(cores)),
        runner=runner.name,
        names_runner=several,
        multi_threaded=runner.multi_threaded,
    )


def _powers(most: int) -> list[int]:
    """Return `most` and the powers of two below it, in descending order."""
    return [most, *(2**i for i in range(most.bit_length(), -1, -1) if 2**i < most)]


def _with(first: int, others: list[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys((first, *others)))


def with_keys(
    document: Mapping[str, Any], keys: Mapping[KeyPath, float]
) -> dict[str, Any]:
    """Return a copy of a configuration file's content with some keys set."""
    made: dict[str, Any] = {
        key: dict(value) if isinstance(value, Mapping) else value
        for key, value in document.items()
    }
    for (first, *rest), value in keys.items():
        if not rest:
            made[first] = value
            continue
        inner = made.get(first)
        made[first] = with_keys(
            inner if isinstance(inner, Mapping) else {}, {tuple(rest): value}
        )
    return made
