"""How much memory does another API worker need, beside a model of 500 MB?

Proportional set sizes (PSS) of all processes with 1 and with 4 API workers, after each
has served requests.
"""

from pathlib import Path

from benchmarks.report import arguments, show
from benchmarks.server import Server
from benchmarks.wrk import run_wrk

__all__ = ["pss_mb"]


def main() -> None:
    """Run it."""
    options = arguments(__doc__, seconds=2)
    rows = []
    for workers in (1, 4):
        flags = ("--api-workers", str(workers))
        with Server("ballast:svc", arguments=flags) as server:
            run_wrk(server.url, connections=32, seconds=options.seconds, body="[[1.0]]")
            sizes = {name: pss_mb(pid) for name, pid in server.processes().items()}
        rows.append(
            {
                "API workers": workers,
                "all MB": sum(sizes.values()),
                "runner MB": sizes["runner-ballast"],
                "largest worker MB": max(
                    size for name, size in sizes.items() if name.startswith("api-")
                ),
            }
        )
    show("proportional set sizes, a model of 500 MB", rows, options.json)
    added = (float(rows[1]["all MB"]) - float(rows[0]["all MB"])) / 3
    print(f"\neach further API worker adds {added:.1f} MB")


def pss_mb(pid: int) -> float:
    """Return the proportional set size of a process in MiB.

    Raises:
        SystemExit: If the kernel does not report it.
    """
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("this kernel does not tell proportional set sizes")


if __name__ == "__main__":
    main()
