"""How does Headway compare with its peers, on the same models and loads?"""

import argparse
from pathlib import Path

from benchmarks.peers.catalogue import MODELS, PEERS, ROOT, SERVERS
from benchmarks.peers.installation import install, is_installed, version_of
from benchmarks.peers.record import RECORD, Closed, Line, append, read


def main() -> None:
    """Run a subcommand."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.peers", description=__doc__, allow_abbrev=False
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    installing = commands.add_parser("install", help="create the peers' environments")
    installing.set_defaults(command=_install)
    installing.add_argument("peers", nargs="*", metavar="PEER", help="default: all")
    listing = commands.add_parser("list", help="list the servers and models")
    listing.set_defaults(command=_list)
    running = commands.add_parser("run", help="measure and append to the record")
    running.set_defaults(command=_run)
    reporting = commands.add_parser("report", help="write benchmarks/README.md")
    reporting.set_defaults(command=_report)
    for one in (running, reporting):
        one.add_argument("--results", type=Path, default=RECORD, help="the record")
    running.add_argument("--server", action="append", choices=[*SERVERS])
    running.add_argument("--model", action="append", choices=[*MODELS])
    running.add_argument(
        "--seconds", type=int, default=5, help="duration of each measurement"
    )
    running.add_argument(
        "--runs", type=int, default=3, help="number of closed-loop runs"
    )
    running.add_argument(
        "--open",
        action="append",
        choices=[*MODELS],
        help="models with open-loop runs, too (default: forest and credit)",
    )
    running.add_argument("--no-open", action="store_true", help="closed loops only")
    running.add_argument(
        "--limit-s", type=float, default=1800, help="start no server after this time"
    )
    running.add_argument(
        "--ceiling", type=Path, help="folder of pipeline.py and echo.py"
    )
    options = parser.parse_args()
    options.command(options)


def _install(options: argparse.Namespace) -> None:
    for peer in options.peers or PEERS:
        if peer not in PEERS:
            raise SystemExit(
                f"no peer is called {peer!r}: there are {', '.join(PEERS)}"
            )
        print(f"installing {peer} {version_of(peer)}", flush=True)
        install(peer)


def _list(options: argparse.Namespace) -> None:
    for server, about in SERVERS.items():
        state = "" if is_installed(server) else ", not installed"
        print(f"{server} {version_of(server)}{state}: {about}")
    for model, about in MODELS.items():
        print(f"{model}: {about}")


def _run(options: argparse.Namespace) -> None:
    from benchmarks.peers.session import Plan, Session  # needs sklearn

    def note(line: Line) -> None:
        append(options.results, line)
        print(_progress(line), flush=True)

    opened = [] if options.no_open else options.open or ["forest", "credit"]
    plan = Plan(
        servers=options.server or [*SERVERS],
        models=options.model or [*MODELS],
        open_models=opened,
        seconds=options.seconds,
        runs=options.runs,
        limit_s=options.limit_s,
        ceiling=options.ceiling,
    )
    Session(plan, note).run()


def _progress(line: Line) -> str:
    if isinstance(line, Closed):
        load = line.load
        return (
            f"{line.model} {line.server} {load.connections}: {load.rps:,.0f}/s, "
            f"p50 {load.p50_ms:.2f}, p99 {load.p99_ms:.2f} ms, {load.failures} failed"
        )
    return str(line)


def _report(options: argparse.Namespace) -> None:
    from benchmarks.peers.plots import draw  # needs matplotlib
    from benchmarks.peers.report import page

    lines = read(options.results)
    (ROOT / "benchmarks/README.md").write_text(page(lines))
    draw(lines, ROOT / "benchmarks/results")


if __name__ == "__main__":
    main()
