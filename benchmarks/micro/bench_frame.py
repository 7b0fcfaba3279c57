"""What do the two frames of a group cost, written and read?

CALLS with one row of 4 numbers for each call, RESULTS with one class for each.
`python -m benchmarks.micro.bench_frame`
"""

import timeit
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from headway.core.method_spec import MethodSpec
from headway.ipc.call import CallEncoder
from headway.ipc.frames import (
    decode_calls,
    decode_results_frame,
    encode_calls,
    encode_results,
)
from headway.ipc.records import ResultsFrame
from headway.ipc.rows import encode_array

SPEC = MethodSpec("predict", batchable=True)


def main() -> None:
    """Run it."""
    print("calls   CALLS: write   read   RESULTS: write   read   (us a frame)")
    for calls in (1, 16, 256):
        call = CallEncoder().encode(SPEC, (np.ones((1, 4)),), {})
        parts = [part for _ in range(calls) for part in call.parts]
        key, classes = encode_array(np.zeros(calls, np.int64), 0)

        def write_calls(
            calls: int = calls, parts: Any = parts, call: Any = call
        ) -> Any:
            return encode_calls(
                group_id=1,
                key=call.key,
                rows=(1,) * calls,
                sizes=(),
                parts=parts,
                payload_bytes=32 * calls,
                priority=0,
                deadline=1.0,
                sent_at=0.0,
            )

        def write_results(
            calls: int = calls, key: bytes = key, classes: Any = classes
        ) -> Any:
            return encode_results(
                ResultsFrame(
                    group_id=1,
                    first=0,
                    calls=calls,
                    key=key,
                    sizes=(),
                    queue_delay_s=0.0,
                    row_s=0.0,
                    queue_s=0.0,
                    compute_s=0.0,
                    batch_rows=calls,
                    payload=memoryview(classes),
                )
            )

        calls_frame = memoryview(b"".join(write_calls()))
        results_frame = memoryview(b"".join(write_results()))
        costs = [
            _best_us(write_calls),
            _best_us(partial(decode_calls, calls_frame)),
            _best_us(write_results),
            _best_us(partial(decode_results_frame, results_frame)),
        ]
        print(f"{calls:5d}   " + "   ".join(f"{cost:10.2f}" for cost in costs))


def _best_us(statement: Callable[[], Any]) -> float:
    timer = timeit.Timer(statement)
    loops, _ = timer.autorange()
    return min(timer.repeat(5, loops)) / loops * 1e6


if __name__ == "__main__":
    main()
