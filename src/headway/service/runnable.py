"""What a runner runs: a Runnable class whose methods are callable over the hop.

Users subclass it for models of their own; frameworks/ build subclasses from a saved
model's signatures; runner_handle makes a Runner of it; runner/ calls it.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar, overload

from headway.core.method_spec import BatchDim, MethodSpec, batch_dims
from headway.errors import RunnerStartError

__all__ = ["Runnable", "read_samples"]

_F = TypeVar("_F", bound=Callable[..., Any])
_MARK = "__headway_method__"


class Runnable:
    """A model and the methods that may be called on it from API functions.

    The constructor loads the model; it runs once in each replica, never in an API
    worker. Methods are plain functions; those marked batchable get the rows of many
    callers joined along `batch_dim` and return a result with as many rows.
    """

    SUPPORTED_RESOURCES: ClassVar[tuple[str, ...] | str] = ("cpu",)
    """Resources that the model can use: "cpu", "nvidia.com/gpu"."""
    SUPPORTS_CPU_MULTI_THREADING: ClassVar[bool] = True
    """Whether one replica can use several cores; if not, `resources.cpu: N` makes N
    replicas instead of giving N threads to one."""

    @overload
    @staticmethod
    def method(function: _F, /) -> _F: ...

    @overload
    @staticmethod
    def method(
        *,
        batchable: bool = False,
        batch_dim: BatchDim = 0,
        input_spec: object = None,
        output_spec: object = None,
    ) -> Callable[[_F], _F]: ...

    @staticmethod
    def method(
        function: _F | None = None,
        /,
        *,
        batchable: bool = False,
        batch_dim: BatchDim = 0,
        input_spec: object = None,
        output_spec: object = None,
    ) -> _F | Callable[[_F], _F]:
        """Mark a method as callable through a runner.

        Args:
            function: The method, when used without parentheses.
            batchable: Whether the rows of several calls may be joined.
            batch_dim: Axis of the rows, or (input axis, output axis).
            input_spec: Accepted for the sake of existing services; unused.
            output_spec: Accepted for the sake of existing services; unused.
        """

        def mark(function: _F) -> _F:
            spec = MethodSpec(
                name=function.__name__,
                batchable=batchable,
                batch_dim=batch_dims(batch_dim, where=function.__qualname__),
            )
            setattr(function, _MARK, spec)
            return function

        return mark if function is None else mark(function)

    @classmethod
    def add_method(cls, function: Callable[..., Any], spec: MethodSpec) -> None:
        """Add a method made at run time, as frameworks do from signatures."""

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            return function(self, *args, **kwargs)

        call.__name__ = spec.name
        setattr(call, _MARK, spec)
        setattr(cls, spec.name, call)

    @classmethod
    def method_specs(cls) -> Mapping[str, MethodSpec]:
        """Return the callable methods by name, in the order of declaration."""
        specs: dict[str, MethodSpec] = {}
        for owner in reversed(cls.__mro__):
            for name, value in vars(owner).items():
                spec = getattr(value, _MARK, None)
                if isinstance(spec, MethodSpec):
                    specs[name] = spec
        return specs

    def warmup_samples(self) -> Mapping[str, tuple[Any, ...]]:
        """Return, by method, positional arguments of ONE row to warm it up with.

        Batchable methods are warmed with these rows repeated to several batch sizes,
        which also seeds the cost model; a method without a sample is not run before
        the first request.
        """
        return {}


def read_samples(
    runner: str, runnable: Runnable, specs: Mapping[str, MethodSpec]
) -> Mapping[str, tuple[Any, ...]]:
    """Return a runnable's `warmup_samples` after looking at their names.

    Args:
        runner: Its name, for the message.
        runnable: Has the samples.
        specs: Its methods.

    Raises:
        RunnerStartError: If that raises anything, or there is one for no method.
    """
    try:
        samples = runnable.warmup_samples()
    except Exception as error:
        # A user's method may raise anything.
        raise RunnerStartError(
            f"runner {runner!r}: warmup_samples() raised {type(error).__name__}: "
            f"{error}"
        ) from error
    for method in samples:
        if method not in specs:
            raise RunnerStartError(
                f"runner {runner!r}: warmup_samples() has one for {method!r}, which "
                f"is none of its methods {sorted(specs)}"
            )
    return samples
