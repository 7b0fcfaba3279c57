"""The results of the demo as a table and as JSON."""

import json
import os
import platform

import headway

HEAD = "users  spawn/s      RPS  p50 ms  p90 ms  p99 ms  max ms  failures  mean batch"


def cores():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def render_table(steps):
    """Return the table; the last row is the last step once all users were spawned."""
    lines = [HEAD]
    lines += [_row(step, f"{step['spawn_rate']:g}", step["whole"]) for step in steps]
    last = steps[-1]
    if last["steady"] is not None:
        lines.append(_row(last, "steady", last["steady"]))
    figures = last["steady"] or last["whole"]
    lines += [
        "",
        "A step includes the time to spawn its users; steady is the last step after",
        "all of its users were spawned.",
        f"Locust shares the {cores()} cores with the server and used "
        f"{figures['locust_cores']:.2f} of them in the last row.",
    ]
    return "\n".join(lines)


def _row(step, spawn, figures):
    batch = figures["mean_batch_rows"]
    return (
        f"{step['users']:5}  {spawn:>7}  {figures['rps']:7.1f}  "
        f"{_ms(figures['p50_ms'])}  {_ms(figures['p90_ms'])}  "
        f"{_ms(figures['p99_ms'])}  {_ms(figures['max_ms'])}  "
        f"{figures['failures']:8}  "
        f"{'-' if batch is None else format(batch, '.2f'):>10}"
    )


def _ms(value):
    return format("-" if value is None else f"{value:g}", ">6")


def as_figures(result, seconds):
    """Return the results of a step as plain values."""
    steady = result.steady
    return {
        "users": result.step.users,
        "spawn_rate": result.step.spawn_per_s,
        "seconds": seconds,
        "whole": _figures(result.whole, result.server_whole),
        "steady": None if steady is None else _figures(steady, result.server),
    }


def _figures(figures, server):
    return {
        "seconds": figures.seconds,
        "requests": figures.requests,
        "failures": figures.failures,
        "rps": round(figures.rps, 1),
        "p50_ms": figures.p50_ms,
        "p90_ms": figures.p90_ms,
        "p99_ms": figures.p99_ms,
        "max_ms": figures.max_ms,
        "locust_cores": figures.load_cores,
        "mean_batch_rows": None if server is None else server.mean_batch_rows,
    }


def write_json(path, steps, errors):
    report = {
        "headway": headway.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": cores(),
        "rungs": steps,
        "errors": errors,
    }
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
