"""Garbage collection in a serving process; process and embedded call it once loaded."""

import gc
from typing import Final

_THRESHOLDS: Final = (20_000, 20, 20)


def tune_gc() -> None:
    """Exclude all objects that exist now from garbage collections, and collect rarely.

    Modules and models live as long as the process, and a full collection over them
    stops every request for tens of milliseconds (benchmarks/forest.py, p99 at one
    connection). Reference counts free nearly everything that requests leave, so
    searching for cycles can wait: with the default thresholds it takes a fifth of an
    API worker's time under overload (benchmarks/overload.py).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
