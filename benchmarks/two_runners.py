"""Do two runners that are awaited together compute at the same time?

Two models of 50 ms each behind one endpoint, one client.
"""

from benchmarks.report import arguments, show
from benchmarks.server import Server
from benchmarks.wrk import run_wrk


def main() -> None:
    """Run it."""
    options = arguments(__doc__, seconds=5)
    rows = []
    with Server("models:pair") as server:
        for _ in range(options.runs):
            load = run_wrk(
                server.url, connections=1, seconds=options.seconds, body="[[1.0]]"
            )
            rows.append({"p50 ms": load.p50_ms, "p99 ms": load.p99_ms})
    show("two runners of 50 ms each, awaited together", rows, options.json)


if __name__ == "__main__":
    main()
