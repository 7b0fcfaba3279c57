"""The runner as an API function sees it: `await runner.predict.async_run(x)`.

Users make one with `model.to_runner()` or `headway.Runner(...)` and hand it to a
Service; assemble attaches a backend (the hop, or the model in this very process).
"""

import inspect
import re
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from headway.core.method_spec import MethodSpec
from headway.errors import ConfigError, UsageError
from headway.service.runnable import Runnable

__all__ = ["InProcessBackend", "Runner", "RunnerBackend", "RunnerMethod"]

_NAME = re.compile(r"[a-z0-9]([-._a-z0-9]*[a-z0-9])?")


class RunnerBackend(Protocol):
    """Carries calls of a runner's methods to its model."""

    def call(
        self, method: MethodSpec, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Coroutine[Any, Any, Any]:
        """Run the method and return its result."""
        ...

    def call_blocking(
        self, method: MethodSpec, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run the method from a thread that is not the event loop's."""
        ...


class InProcessBackend:
    """The model in this very process, unbatched: notebooks and unit tests."""

    def __init__(self, runnable: Runnable) -> None:
        self._runnable = runnable

    async def call(
        self, method: MethodSpec, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run the method in the calling thread."""
        return self.call_blocking(method, args, kwargs)

    def call_blocking(
        self, method: MethodSpec, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run the method in the calling thread."""
        return getattr(self._runnable, method.name)(*args, **kwargs)


class RunnerMethod:
    """One method of a runner, callable from API functions."""

    __slots__ = ("_call", "_runner", "spec")

    def __init__(self, *, runner: "Runner", spec: MethodSpec) -> None:
        self._runner = runner
        self._call: Any = None
        self.spec = spec

    def attach(self, backend: RunnerBackend) -> None:
        """Let calls go to `backend`; Runner.attach does this."""
        self._call = backend.call

    def async_run(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """Run the method, once awaited; other requests' rows may share its batch.

        Args:
            args: For a batchable method, each has its rows along `batch_dim`.
            kwargs: Calls with different keyword arguments never share a batch.

        Raises:
            OverloadedError: The runner's backlog cannot meet the deadline.
            UnavailableError: The runner is being started, maybe again.
            DeadlineExceededError: The request's deadline passed.
            ModelCallError: The model raised on this call's rows.
        """
        call = self._call or self._runner.backend.call
        coroutine: Coroutine[Any, Any, Any] = call(self.spec, args, kwargs)
        return coroutine

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Run the method from a sync API function, a notebook or a test.

        Raises:
            UsageError: If called on the event loop's thread, which it would block.
        """
        return self._runner.backend.call_blocking(self.spec, args, kwargs)


class MethodOptions(msgspec.Struct, frozen=True):
    """Batching options given in code; None leaves the configuration's."""

    max_batch_size: int | None = None
    max_latency_ms: float | None = None


class Runner:
    """A named runnable, served by processes of its own.

    Args:
        runnable_class: What each replica constructs.
        runnable_init_params: Keyword arguments of its constructor.
        name: Unique within a service; the default is the class's name in lower case.
        models: Saved models that it uses, for the service's listing.
        max_batch_size: Rows in a batch at the most, for every method.
        max_latency_ms: Time in the runner at the most, for every method.
        method_configs: The last two by method:
            `{"predict": {"max_batch_size": 32}}`.
        embedded: Accepted for the sake of existing services; the placement follows
            from `headway serve`.
        scheduling_strategy: As `embedded`.

    Raises:
        ConfigError: If the name is malformed, the class has no method marked, or
            `method_configs` names a method or an option that does not exist.
    """

    def __init__(  # noqa: PLR0913 - the surface that users of runners know
        self,
        runnable_class: type[Runnable],
        *,
        runnable_init_params: Mapping[str, Any] | None = None,
        name: str | None = None,
        models: Sequence[Any] = (),
        max_batch_size: int | None = None,
        max_latency_ms: float | None = None,
        method_configs: Mapping[str, Mapping[str, Any]] | None = None,
        embedded: bool = False,
        scheduling_strategy: object = None,
    ) -> None:
        self.name = (name or runnable_class.__name__).lower()
        if len(self.name) > 63 or not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"runner name {self.name!r}: use at most 63 of a-z, 0-9, '-', '_' and "
                "'.', beginning and ending with a letter or digit"
            )
        self.runnable_class = runnable_class
        self.runnable_init_params = dict(runnable_init_params or {})
        self.models = list(models)
        self.methods: dict[str, RunnerMethod] = {
            spec.name: RunnerMethod(runner=self, spec=spec)
            for spec in runnable_class.method_specs().values()
        }
        # As attributes too: __getattr__ would cost each call a Python function more.
        for attribute, runner_method in self.methods.items():
            if not hasattr(type(self), attribute):
                self.__dict__.setdefault(attribute, runner_method)
        if not self.methods:
            raise ConfigError(
                f"runner {self.name!r}: {runnable_class.__name__} has no method marked "
                "with @headway.Runnable.method"
            )
        for method in self.methods:
            if inspect.iscoroutinefunction(getattr(runnable_class, method)):
                raise ConfigError(
                    f"runner {self.name!r}: method {method!r} is async; a replica "
                    "computes one batch at a time, so its methods are plain functions"
                )
        self.options = self._options(
            max_batch_size, max_latency_ms, method_configs or {}
        )
        self._backend: RunnerBackend | None = None

    def _options(
        self,
        max_batch_size: int | None,
        max_latency_ms: float | None,
        method_configs: Mapping[str, Mapping[str, Any]],
    ) -> dict[str, MethodOptions]:
        unknown = sorted(set(method_configs) - set(self.methods))
        if unknown:
            raise ConfigError(
                f"runner {self.name!r}: method_configs names {unknown}; its methods "
                f"are {sorted(self.methods)}"
            )
        general = {"max_batch_size": max_batch_size, "max_latency_ms": max_latency_ms}
        options = {}
        for method in self.methods:
            own = method_configs.get(method, {})
            if not isinstance(own, Mapping):
                raise ConfigError(
                    f"runner {self.name!r}, method {method!r}: give its options by "
                    f"name, as in {{'max_batch_size': 32}}, not {own!r}"
                )
            given = {**general, **own}
            try:
                options[method] = msgspec.convert(given, MethodOptions, strict=True)
            except msgspec.ValidationError as error:
                raise ConfigError(
                    f"runner {self.name!r}, method {method!r}: {error}"
                ) from error
            strange = sorted(set(given) - set(general))
            if strange:
                raise ConfigError(
                    f"runner {self.name!r}, method {method!r}: unknown options "
                    f"{strange}; known are {sorted(general)}"
                )
        return options

    def __getattr__(self, name: str) -> RunnerMethod:
        methods = self.__dict__.get("methods", {})
        if name in methods:
            return methods[name]  # type: ignore[no-any-return]  # __dict__ is untyped
        raise AttributeError(
            f"runner {self.__dict__.get('name')!r} has no method {name!r}; it has "
            f"{sorted(methods)} (a model's are set by `signatures` when it is saved)"
        )

    def __repr__(self) -> str:
        return f"Runner(name={self.name!r}, methods={sorted(self.methods)})"

    @property
    def backend(self) -> RunnerBackend:
        """What carries the calls.

        Raises:
            UsageError: If no service that is being served lists the runner, and it
                is not initialised.
        """
        if self._backend is None:
            raise UsageError(
                f"runner {self.name!r} has no model to call: if a service uses it, add "
                "it to Service(runners=[...]) and serve that with `headway serve`; in "
                "a notebook or test, call `runner.init_local()` first"
            )
        return self._backend

    def attach(self, backend: RunnerBackend) -> None:
        """Let calls go to `backend`; assemble and init_local do this."""
        self._backend = backend
        for method in self.methods.values():
            method.attach(backend)

    def load(self) -> Runnable:
        """Construct the runnable: this loads the model into this process."""
        return self.runnable_class(**self.runnable_init_params)

    def init_local(self, quiet: bool = False) -> None:
        """Load the model into this process, unbatched: notebooks and unit tests.

        Args:
            quiet: Accepted for the sake of existing services; nothing is printed.
        """
        self.attach(InProcessBackend(self.load()))

    def _default_method(self) -> RunnerMethod:
        if "__call__" in self.methods:
            return self.methods["__call__"]
        if len(self.methods) == 1:
            return next(iter(self.methods.values()))
        raise UsageError(
            f"runner {self.name!r} has several methods {sorted(self.methods)}: name "
            "one, as in `runner.predict.async_run(x)`"
        )

    async def async_run(self, *args: Any, **kwargs: Any) -> Any:
        """Run `__call__` or the only method; see RunnerMethod.async_run."""
        return await self._default_method().async_run(*args, **kwargs)

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Run `__call__` or the only method; see RunnerMethod.run."""
        return self._default_method().run(*args, **kwargs)
