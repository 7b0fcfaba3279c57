"""The runner as API functions use it: `await runner.predict.async_run(x)`.

Users create one with `model.to_runner()` or `headway.Runner(...)` and pass it to a
Service. server/assembly attaches a backend: api/runner_client, which sends calls to the
runner's process, or, in notebooks and tests, the model in this process.
"""

import inspect
import re
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from headway.core.method_spec import MethodSpec
from headway.errors import ConfigError, UsageError
from headway.service.runnable import Runnable

_NAME = re.compile(r"[a-z0-9]([-._a-z0-9]*[a-z0-9])?")


class RunnerBackend(Protocol):
    """Sends calls of a runner's methods to its model."""

    def call(
        self, method: MethodSpec, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Coroutine[Any, Any, Any]:
        """Run the method and return its result."""

    def call_blocking(
        self, method: MethodSpec, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run the method; called from threads other than the event loop's."""


class InProcessBackend:
    """The model in this process, unbatched, for notebooks and unit tests."""

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
        """Send calls to `backend`; Runner.attach calls this."""
        self._call = backend.call

    def async_run(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """Run the method when awaited; other requests' rows may share its batch.

        Args:
            args: For a batchable method, each has its rows along `batch_dim`.
            kwargs: Calls with different keyword arguments never share a batch.

        Raises:
            OverloadedError: If the call cannot finish by the request's deadline.
            UnavailableError: If the runner is starting or restarting.
            DeadlineExceededError: If the request's deadline passed.
            ModelCallError: If the model raised an error for this call's rows.
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


class MethodOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Batching options given in code; None uses the configuration's value."""

    max_batch_size: int | None = None
    max_latency_ms: float | None = None


class Runner:
    """A named runnable that has its own processes.

    Args:
        runnable_class: The class that each replica constructs.
        runnable_init_params: Keyword arguments of its constructor.
        name: Unique within a service; the default is the class's name in lower case.
        models: Saved models that it uses, for the service's listing.
        max_batch_size: Maximum number of rows in a batch, for every method.
        max_latency_ms: Maximum time in the runner, for every method.
        method_configs: The last two by method:
            `{"predict": {"max_batch_size": 32}}`.
        embedded: Accepted for compatibility with existing services; unused.
        scheduling_strategy: Accepted for compatibility with existing services; unused.

    Raises:
        ConfigError: If the name is malformed, the class has no marked method, or
            `method_configs` names an unknown method or option.
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
                "'.', with a letter or digit at both ends"
            )
        self.runnable_class = runnable_class
        self.runnable_init_params = dict(runnable_init_params or {})
        self.models = list(models)
        self.methods: dict[str, RunnerMethod] = {
            spec.name: RunnerMethod(runner=self, spec=spec)
            for spec in runnable_class.method_specs().values()
        }
        # As attributes too, because __getattr__ costs one more Python call each time.
        for attribute, runner_method in self.methods.items():
            if not hasattr(type(self), attribute):
                self.__dict__.setdefault(attribute, runner_method)
        if not self.methods:
            raise self._error(
                f"{runnable_class.__name__} has no method marked with "
                "@headway.Runnable.method"
            )
        for method in self.methods:
            if inspect.iscoroutinefunction(getattr(runnable_class, method)):
                raise self._error(
                    f"method {method!r} is async, but a replica computes one batch at "
                    "a time: make it a plain function"
                )
        general = {"max_batch_size": max_batch_size, "max_latency_ms": max_latency_ms}
        self.options = self._options(general, method_configs or {})
        self._backend: RunnerBackend | None = None

    def _error(self, reason: str) -> ConfigError:
        return ConfigError(f"runner {self.name!r}: {reason}")

    def _options(
        self, general: dict[str, Any], by_method: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, MethodOptions]:
        unknown = sorted(set(by_method) - set(self.methods))
        if unknown:
            raise self._error(
                f"method_configs names {unknown}, but its methods are "
                f"{sorted(self.methods)}"
            )
        options = {}
        for method in self.methods:
            own = by_method.get(method, {})
            if not isinstance(own, Mapping):
                raise self._error(
                    f"method {method!r}: give its options by name, as in "
                    f"{{'max_batch_size': 32}}, not {own!r}"
                )
            try:
                options[method] = msgspec.convert({**general, **own}, MethodOptions)
            except msgspec.ValidationError as error:
                raise self._error(
                    f"method {method!r}: {error}; its options are {sorted(general)}"
                ) from error
        return options

    def __getattr__(self, name: str) -> RunnerMethod:
        methods = self.__dict__.get("methods", {})
        if name in methods:
            return methods[name]  # type: ignore[no-any-return]  # __dict__ is untyped
        raise AttributeError(
            f"runner {self.__dict__.get('name')!r} has no method {name!r}; it has "
            f"{sorted(methods)} (for a saved model, `signatures` defines them)"
        )

    def __repr__(self) -> str:
        return f"Runner(name={self.name!r}, methods={sorted(self.methods)})"

    @property
    def backend(self) -> RunnerBackend:
        """The backend that calls go to.

        Raises:
            UsageError: If the runner is not in a service that is being served, and
                `init_local` was not called.
        """
        if self._backend is None:
            raise UsageError(
                f"runner {self.name!r} has no model to call: if a service uses it, add "
                "it to Service(runners=[...]) and start that with `headway serve`; in "
                "a notebook or test, call `runner.init_local()` first"
            )
        return self._backend

    def attach(self, backend: RunnerBackend) -> None:
        """Send calls to `backend`; server/assembly and `init_local` call this."""
        self._backend = backend
        for method in self.methods.values():
            method.attach(backend)

    def load(self) -> Runnable:
        """Construct the runnable, which loads the model into this process."""
        return self.runnable_class(**self.runnable_init_params)

    def init_local(self, quiet: bool = False) -> None:
        """Load the model into this process, unbatched, for notebooks and unit tests.

        Args:
            quiet: Accepted for compatibility with existing services; unused.
        """
        self.attach(InProcessBackend(self.load()))

    def _default_method(self) -> RunnerMethod:
        if "__call__" in self.methods:
            return self.methods["__call__"]
        if len(self.methods) == 1:
            return next(iter(self.methods.values()))
        raise UsageError(
            f"runner {self.name!r} has several methods {sorted(self.methods)}: choose "
            "one, as in `runner.predict.async_run(x)`"
        )

    async def async_run(self, *args: Any, **kwargs: Any) -> Any:
        """Run `__call__` or the only method; see RunnerMethod.async_run."""
        return await self._default_method().async_run(*args, **kwargs)

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Run `__call__` or the only method; see RunnerMethod.run."""
        return self._default_method().run(*args, **kwargs)
