"""How fast do images of 600 KB reach the model, as .npy and as JSON?

A small ONNX network on 3x224x224 float32. Measured are the throughput; for one client,
the median time from the last byte of the body to the start of the model, including
decoding; and the CPU time of the server per answer. `--socket` turns shared memory
between the processes off. `scripts/bench peers` has the same network in other servers.
"""

import http.client
import os
import statistics
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.peers.installation import FOLDER
from benchmarks.peers.models import train
from benchmarks.report import argument_parser, show
from benchmarks.server import Server
from benchmarks.wrk import run_wrk
from headway.config.schema import RunnerConfig

_CONFIG = "runners: {resources: {cpu: 1}, shared_memory_bytes: %d}"
_CONNECTIONS = (1, 16, 64)
_ASKED = 100


def main() -> None:
    """Run it."""
    parser = argument_parser(__doc__, seconds=4)
    parser.add_argument("--socket", action="store_true", help="without shared memory")
    options = parser.parse_args()
    memory_bytes = 0 if options.socket else RunnerConfig().shared_memory_bytes
    models = FOLDER / "models"
    train(models)
    os.environ |= {
        "HEADWAY_PEERS_MODEL": "image",
        "HEADWAY_PEERS_MODELS": str(models),
    }
    rows = []
    with Server("images:svc", config=_CONFIG % memory_bytes) as server:
        for kind, body in _bodies().items():
            start_ms = _start_ms(server, kind, body)
            for connections in _CONNECTIONS:
                before_s = _processor_s(server)
                loads = [
                    run_wrk(
                        server.url,
                        connections=connections,
                        seconds=options.seconds,
                        body=body,
                        content_type=kind,
                    )
                    for _ in range(options.runs)
                ]
                spent_s = _processor_s(server) - before_s
                answered = sum(load.rps for load in loads) * options.seconds
                rows.append(
                    {
                        "body": kind,
                        "KB": len(body) // 1000,
                        "connections": connections,
                        "rps": statistics.median(load.rps for load in loads),
                        "p50 ms": statistics.median(load.p50_ms for load in loads),
                        "p99 ms": statistics.median(load.p99_ms for load in loads),
                        "processor ms": spent_s / answered * 1e3,
                        "failures": sum(load.failures for load in loads),
                        "body to model ms": start_ms,
                    }
                )
    show("images, medians of the runs", rows, options.json)


def _processor_s(server: Server) -> float:
    """Return the CPU time of the server's processes."""
    ticks = 0
    for pid in server.processes().values():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _bodies() -> dict[str, bytes]:
    # Numbers that are equal as text, as 64-bit and as 32-bit floats.
    pixels = np.random.default_rng(0).integers(0, 256, (1, 3, 224, 224)) / 256
    image, file = pixels.astype(np.float32), BytesIO()
    np.save(file, image)
    return {
        "application/x-npy": file.getvalue(),
        "application/json": msgspec.json.encode(image.tolist()),
    }


def _start_ms(server: Server, kind: str, body: bytes) -> float:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    times: list[float] = []
    for _ in range(_ASKED):
        client.request("POST", "/predict", body, {"Content-Type": kind})
        ((_, seconds),) = msgspec.json.decode(client.getresponse().read())
        times.append(seconds * 1e3)
    client.close()
    return statistics.median(times)


if __name__ == "__main__":
    main()
