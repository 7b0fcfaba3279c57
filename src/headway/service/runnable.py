"""A Runnable: a model and its methods that API functions call through a runner.

Users derive from it for their own models; models/frameworks derives from it for saved
models. service/runner reads its methods; runner/executor calls them.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar, overload

from headway.core.method_spec import BatchDim, MethodSpec, batch_dims
from headway.errors import RunnerStartError

_F = TypeVar("_F", bound=Callable[..., Any])
_MARK = "__headway_method__"


class Runnable:
    """A model and the methods that API functions may call.

    The constructor loads the model; it runs once in each replica, never in an API
    worker. Methods are plain functions. A method marked batchable gets the rows of
    several calls joined along `batch_dim`, and returns one row for each.
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
            batchable: Whether the rows of several calls may share a batch.
            batch_dim: Axis of the rows, or (input axis, output axis).
            input_spec: Accepted for compatibility with existing services; unused.
            output_spec: Accepted for compatibility with existing services; unused.
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
    def method_specs(cls) -> Mapping[str, MethodSpec]:
        """Return the marked methods by name, in the order of declaration."""
        specs: dict[str, MethodSpec] = {}
        for owner in reversed(cls.__mro__):
            for name, value in vars(owner).items():
                spec = getattr(value, _MARK, None)
                if isinstance(spec, MethodSpec):
                    specs[name] = spec
        return specs

    def warmup_samples(self) -> Mapping[str, tuple[Any, ...]]:
        """Return, by method, positional arguments of ONE row for the warm-up.

        Batchable methods are warmed up with this row repeated to several batch sizes,
        which also initialises the cost model. Methods without a sample do not run
        before the first request.
        """
        return {}


def read_samples(
    runner: str, runnable: Runnable, specs: Mapping[str, MethodSpec]
) -> Mapping[str, tuple[Any, ...]]:
    """Return a runnable's `warmup_samples` after checking their method names.

    Args:
        runner: The runner's name, for messages.
        runnable: The runnable.
        specs: Its methods.

    Raises:
        RunnerStartError: If `warmup_samples` raises, or names an unknown method.
    """
    try:
        samples = runnable.warmup_samples()
    except Exception as error:  # a user's method may raise any error
        raise RunnerStartError(
            f"runner {runner!r}: warmup_samples() raised {type(error).__name__}: "
            f"{error}"
        ) from error
    for method in samples:
        if method not in specs:
            raise RunnerStartError(
                f"runner {runner!r}: warmup_samples() has a sample for {method!r}, but "
                f"its methods are {sorted(specs)}"
            )
    return samples
