"""How the garbage collector runs in a process that serves.

worker and embedded call it once all is loaded.
"""

import gc
from typing import Final

__all__ = ["tune_gc"]

_THRESHOLDS: Final = (20_000, 20, 20)


def tune_gc() -> None:
    """Keep what is loaded by now out of garbage collections.

    Modules and models live as long as the process, and a full collection that walks
    them holds up every request for tens of milliseconds (benchmarks/forest.py, p99 at
    one connection). What requests leave behind is freed by its reference counts, nearly
    all of it, so looking for cycles can wait: with the usual thresholds it takes a
    fifth of an API worker's time under overload (benchmarks/overload.py).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
