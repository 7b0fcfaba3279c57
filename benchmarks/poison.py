"""What does one request in a hundred that the model refuses cost the other 99?

A forest on iris, whose call costs the same whatever the batch. Five kinds of bad
requests: an infinity, which scikit-learn refuses; a number at which the model raises
at once, or after it has computed, the same number each time or another.
"""

import io
import statistics
from typing import Any

import numpy as np

from benchmarks.report import arguments, show
from benchmarks.server import Server
from benchmarks.wrk import Load, run_wrk

BODY = "[[5.1, 3.5, 1.4, 0.2]]"
CONFIG = """
api_server: {timeout: 60}
runners: {resources: {cpu: 1}, batching: {enabled: true, max_batch_size: 1000}}
"""
EVERY = 100
JSON = "application/json"
LUA = """
local count, good = 0, nil
function init() good = wrk.format() end
function request()
    count = count + 1
    if count %% %d > 0 then return good end
    local headers = {['Content-Type'] = '%s'}
    return wrk.format(nil, nil, headers, %s)
end
"""


def _infinity() -> str:
    """Return a .npy file with an infinity as a string of Lua."""
    file = io.BytesIO()
    np.save(file, np.array([[np.inf, 3.5, 1.4, 0.2]]))
    return "'" + "".join(f"\\{byte:03d}" for byte in file.getvalue()) + "'"


def _number(lua: str) -> str:
    return f"'[[' .. {lua} .. ', 3.5, 1.4, 0.2]]'"


KINDS = {
    "none": "",
    "an infinity": LUA % (EVERY, "application/x-npy", _infinity()),
    "one number, raises at once": LUA % (EVERY, JSON, _number("1000")),
    "one number, raises late": LUA % (EVERY, JSON, _number("1000000")),
    "any number, raises at once": LUA % (EVERY, JSON, _number("1000 + count")),
    "any number, raises late": LUA % (EVERY, JSON, _number("1000000 + count")),
}


def main() -> None:
    """Run it."""
    options = arguments(__doc__, seconds=8)
    loads: dict[str, list[tuple[Load, float]]] = {kind: [] for kind in KINDS}
    for _ in range(options.runs):
        for kind, lua in KINDS.items():
            with Server("models:picky", config=CONFIG) as server:
                load = run_wrk(
                    server.url,
                    connections=64,
                    seconds=options.seconds,
                    body=BODY,
                    lua=lua,
                )
                extra = server.metric("headway_isolation_calls_total")
                batches = server.metric("headway_runner_inference_seconds_count")
                loads[kind].append((load, extra / batches))
    clean = statistics.median(load.rps for load, _ in loads["none"])
    rows: list[dict[str, Any]] = []
    for kind, runs in loads.items():
        load, extra = sorted(runs, key=lambda run: run[0].rps)[len(runs) // 2]
        requests = load.rps * options.seconds
        rows.append(
            {
                "bad requests": kind,
                "rps": load.rps,
                "over clean": load.rps / clean,
                "p50 ms": load.p50_ms,
                "p99 ms": load.p99_ms,
                "failed %": 100 * load.failures / requests,
                "calls more for a batch": extra,
            }
        )
    show("forest, 64 connections, medians of the runs", rows, options.json)


if __name__ == "__main__":
    main()
