"""What the demo has measured, as a table and as JSON."""

import json
import os
import platform

import headway

HEAD = "users  spawn/s      RPS  p50 ms  p90 ms  p99 ms  max ms  failures  mean batch"


def cores():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def render_table(rungs):
    """Return the table; below the last rung, its part with all users there."""
    lines = [HEAD]
    lines += [_row(rung, f"{rung['spawn_rate']:g}", rung["whole"]) for rung in rungs]
    last = rungs[-1]
    if last["steady"] is not None:
        lines.append(_row(last, "steady", last["steady"]))
    figures = last["steady"] or last["whole"]
    lines += [
        "",
        "Times are Locust's: whole milliseconds, two digits above 100. A rung's time",
        "includes its ramp; steady is the last rung once all of its users are there.",
        f"Locust shares the {cores()} cores with the server and used "
        f"{figures['locust_cores']:.2f} of them in the last row.",
        "While users spawn, Locust's garbage collector is told to pass over what they",
        "hold: its walks would be timed as the server's.",
    ]
    return "\n".join(lines)


def _row(rung, spawn, figures):
    batch = figures["mean_batch_rows"]
    return (
        f"{rung['users']:5}  {spawn:>7}  {figures['rps']:7.1f}  "
        f"{figures['p50_ms']:6}  {figures['p90_ms']:6}  {figures['p99_ms']:6}  "
        f"{figures['max_ms']:6}  {figures['failures']:8}  "
        f"{'-' if batch is None else format(batch, '.2f'):>10}"
    )


def write_json(path, rungs):
    report = {
        "headway": headway.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": cores(),
        "rungs": rungs,
    }
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
