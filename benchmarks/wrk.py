"""Closed-loop load by wrk, with its output parsed."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import msgspec

__all__ = ["Load", "run_wrk"]

_UNITS_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


class Load(msgspec.Struct):
    """Results of one run of wrk."""

    connections: int
    rps: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    failures: int
    """Answers other than 2xx, and socket errors."""


def run_wrk(
    url: str,
    *,
    connections: int,
    seconds: int,
    body: str | bytes,
    content_type: str = "application/json",
) -> Load:
    """Send the same request on several connections, each again after its answer.

    Raises:
        SystemExit: If wrk is not installed.
    """
    if shutil.which("wrk") is None:
        raise SystemExit("this benchmark needs wrk: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder:
        script, file = Path(folder) / "post.lua", Path(folder) / "body"
        file.write_bytes(body.encode() if isinstance(body, str) else body)
        script.write_text(
            f"wrk.method = 'POST'\nwrk.body = io.open('{file}', 'rb'):read('*a')\n"
            f"wrk.headers['Content-Type'] = '{content_type}'\n"
        )
        command = [
            *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"),
            *("--timeout", "60s", "-s", str(script), url),
        ]
        text = subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=seconds + 60
        ).stdout
    return Load(
        connections=connections,
        rps=_number(r"Requests/sec:\s+([\d.]+)", text),
        p50_ms=_milliseconds("50%", text),
        p99_ms=_milliseconds("99%", text),
        max_ms=_milliseconds(r"Latency(?:\s+[\d.]+\w+){2}", text),
        failures=sum(
            int(count)
            for count in re.findall(
                r"Non-2xx or 3xx responses: (\d+)"
                r"|(?:connect|read|write|timeout) (\d+)",
                text,
            )
            for count in count
            if count
        ),
    )


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        raise SystemExit(f"wrk printed no {pattern!r}:\n{text}")
    return float(found.group(1))


def _milliseconds(quantile: str, text: str) -> float:
    found = re.search(rf"{quantile}\s+([\d.]+)(us|ms|s)\b", text)
    if found is None:
        raise SystemExit(f"wrk printed no {quantile} latency:\n{text}")
    return float(found.group(1)) * _UNITS_MS[found.group(2)]
