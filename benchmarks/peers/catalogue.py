"""The servers and models to compare, and their requests.

session starts the servers, installation creates their environments, and report
describes them.
"""

import base64
import sys
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

__all__ = [
    "CEILINGS",
    "COMPILED",
    "HEADWAY",
    "INTERPRETED",
    "MODELS",
    "PEERS",
    "ROOT",
    "SERVERS",
    "Request",
    "command",
    "connections_of",
    "predictions",
    "request_of",
]

ROOT: Final = Path(__file__).parents[2]
HEADWAY: Final = "headway"
INTERPRETED: Final = "interpreted"
COMPILED: Final = ROOT / ".compiled"
"""Folder of the package that scripts/compile builds."""
_SERVICES: Final = "benchmarks.peers.services"

PEERS: Final = {
    "mosec": "one worker, max_batch_size 2048, max_wait_time 1 ms (its shortest)",
    "bentoml": "workers=cpu_count, batchable, max_batch_size 2048",
    "litserve": "an API process for each core, one worker, fast_queue, "
    "max_batch_size 2048, batch_timeout 1 ms",
    "ray": "@serve.batch of up to 2048, 1 ms; high-throughput mode, HAProxy in front",
    "mlserver": "one parallel worker, max_batch_size 2048, max_batch_time 1 ms",
    "fastapi": "the model inline, no batches; uvicorn with a process for each core",
}
SERVERS: Final = {
    HEADWAY: "compiled; an API worker for each core, one runner, max_batch_size 2048; "
    "the rest as it comes",
    INTERPRETED: "Headway as it is installed without a compiler, otherwise alike",
    **PEERS,
}
CEILINGS: Final = {
    "pipeline": "a crude web process and a crude runner, without limits or errors",
    "echo": "a bare HTTP echo without a model",
}
MODELS: Final = {
    "logistic": "logistic regression on iris, 0.1 ms a call",
    "forest": "100 trees on iris, about 4 ms a call whatever the batch",
    "image": "a small ONNX network on images of 3x224x224 float32, 600 KB each",
    "credit": "the credit-risk service: a dict, DictVectorizer, XGBoost",
}
_APPLICATION: Final = {
    "seniority": 9,
    "home": "rent",
    "time": 60,
    "age": 30,
    "marital": "married",
    "records": "no",
    "job": "freelance",
    "expenses": 73,
    "income": 129,
    "assets": 0,
    "debt": 0,
    "amount": 800,
    "price": 846,
}
_FLOWER: Final = [[5.1, 3.5, 1.4, 0.2]]


class Request(msgspec.Struct, frozen=True):
    """The request of a client."""

    path: str
    body: bytes
    content_type: str = "application/json"


def connections_of(model: str) -> tuple[int, ...]:
    """Return the connections of the closed loops: fewer for large requests."""
    return (1, 16, 64) if model == "image" else (1, 64, 512)


def command(server: str, model: str, port: int, python: Path) -> list[str]:
    """Return the command that starts a server of a model."""
    if server in (HEADWAY, INTERPRETED):
        service, folder = "service:svc", "benchmarks/peers/services/headway"
        if model == "credit":
            folder = "examples/credit_risk"
        return [
            *(sys.executable, "-m", "headway", "serve", service, "--production"),
            *("--host", "127.0.0.1", "--port", str(port), "--working-dir", folder),
            *("--config", "benchmarks/peers/services/headway/headway.yaml"),
        ]
    module = f"{_SERVICES}.{server}.service"
    own = {
        "mosec": ["-m", module, "--address", "127.0.0.1", "--port", str(port)],
        "bentoml": [
            *("-m", "bentoml", "serve", f"{module}:Model"),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
        "mlserver": [
            *("-c", "from mlserver.cli import main; main()", "start"),
            "benchmarks/peers/services/mlserver",
        ],
        "fastapi": [
            *("-m", "uvicorn", f"{module}:app", "--host", "127.0.0.1"),
            *("--port", str(port), "--workers", "2", "--no-access-log"),
        ],
    }
    return [str(python), *own.get(server, ["-m", module, str(port)])]


def request_of(server: str, model: str) -> Request:
    """Return the request for a model in the format of a server."""
    if model == "image":
        return _image_request(server)
    rows: list[Any] = [_APPLICATION] if model == "credit" else _FLOWER
    if server == "mlserver":
        if model == "credit":
            texts = [msgspec.json.encode(row).decode() for row in rows]
            return _mlserver(datatype="BYTES", shape=[len(texts)], data=texts)
        return _mlserver(datatype="FP64", shape=[1, 4], data=rows[0])
    if server == "bentoml":
        if model == "credit":
            return Request("/decide", msgspec.json.encode({"applications": rows}))
        return Request("/predict", msgspec.json.encode({"rows": rows}))
    if server in (HEADWAY, INTERPRETED) and model == "credit":
        return Request("/classify", msgspec.json.encode(_APPLICATION))
    return Request("/predict", msgspec.json.encode(rows))


def _mlserver(**tensor: Any) -> Request:
    body = {"inputs": [{"name": "rows", **tensor}]}
    return Request("/v2/models/predict/infer", msgspec.json.encode(body))


def _image_request(server: str) -> Request:
    file = BytesIO()
    image = np.random.default_rng(0).random((1, 3, 224, 224), dtype=np.float32)
    np.save(file, image)
    npy = file.getvalue()
    text = base64.b64encode(npy).decode()
    if server == "bentoml":
        return Request("/classify", msgspec.json.encode({"images": [text]}))
    if server == "litserve":
        return Request("/predict", msgspec.json.encode({"image": text}))
    if server == "mlserver":
        return _mlserver(datatype="BYTES", shape=[1], data=[text])
    return Request("/predict", npy, "application/x-npy")


def predictions(answer: Any) -> list[Any]:
    """Return the predictions in a decoded answer of any of the servers."""
    if isinstance(answer, dict) and "outputs" in answer:
        answer = answer["outputs"][0]["data"]
    elif isinstance(answer, dict):
        answer = [answer["status"]]
    while isinstance(answer, list) and answer and isinstance(answer[0], list):
        answer = answer[0]
    return list(answer)
