"""From which size on does a view of an array beat a copy of its bytes?

raw_bytes of ipc/rows copies small arrays; this measurement sets its bound.
`python -m benchmarks.micro.bench_codec`
"""

import timeit

import numpy as np


def main() -> None:
    """Run it."""
    print("bytes      copy us   view us   (each with the join into a frame)")
    for size in (32, 256, 4096, 65536, 2**20):
        array = np.zeros(size // 8)
        copy = _best(lambda array=array: b"".join([b"head", array.tobytes()]))
        view = _best(
            lambda array=array: b"".join(
                [b"head", np.ascontiguousarray(array).reshape(-1).view(np.uint8).data]
            )
        )
        print(f"{size:8d}  {copy:8.2f}  {view:8.2f}")


def _best(statement: object) -> float:
    timer = timeit.Timer(statement)  # type: ignore[arg-type]  # a callable
    loops, _ = timer.autorange()
    return min(timer.repeat(5, loops)) / loops * 1e6


if __name__ == "__main__":
    main()
