"""How one method of a model may be called: its name, and whether and how it batches.

service/ and models/ declare it; api/, ipc/ and runner/ act on it.
"""

import msgspec

from headway.errors import ConfigError

BatchDim = int | tuple[int, int]
"""Axis of the rows: one for input and output, or (input, output)."""


class MethodSpec(msgspec.Struct, frozen=True):
    """How one method of a runnable may be called."""

    name: str
    """Name of the attribute on the runnable."""
    batchable: bool = False
    """Whether the rows of several calls may be joined in one call."""
    batch_dim: tuple[int, int] = (0, 0)
    """Axis of the rows in every positional argument, and in the result."""


def batch_dims(batch_dim: BatchDim, *, where: str) -> tuple[int, int]:
    """Return `batch_dim` as (input, output).

    Args:
        batch_dim: One axis for both, or a pair.
        where: The place of the declaration, for the message.

    Raises:
        ConfigError: If it is neither, or an axis is negative.
    """
    dims = batch_dim if isinstance(batch_dim, tuple | list) else (batch_dim, batch_dim)
    if len(dims) != 2 or any(
        isinstance(dim, bool) or not isinstance(dim, int) or dim < 0 for dim in dims
    ):
        raise ConfigError(
            f"{where}: batch_dim is {batch_dim!r}; give an axis (0 is the first) or a "
            "pair (input axis, output axis)"
        )
    return dims[0], dims[1]
