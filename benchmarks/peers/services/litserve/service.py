"""LitServe: an API process for each core, one inference worker, a batch timeout."""

import base64
import os
import sys
from typing import Any

import litserve
from benchmarks.peers.services.application import CreditApplication
from benchmarks.peers.services.inference import NAME, load, predict_all, rows_of
from fastapi import Request


class Api(litserve.LitAPI):
    """Answers batches."""

    def setup(self, device: str) -> None:
        """Load the model."""
        self._predict = load()

    def decode_request(self, request: Request) -> Any:
        """Return the rows of a request's JSON; images are in base64."""
        if NAME == "image":
            return rows_of(base64.b64decode(request["image"]))  # type: ignore[index]
        if NAME == "credit":
            return [
                CreditApplication.model_validate(row).model_dump() for row in request
            ]
        return request

    def batch(self, inputs: list[Any]) -> list[Any]:
        """Leave it to `predict` to join them."""
        return inputs

    def predict(self, x: list[Any]) -> list[Any]:
        """Return the answers to each request of a batch."""
        return predict_all(self._predict, x)

    def unbatch(self, output: list[Any]) -> list[Any]:
        """Leave them as they are."""
        return output

    def encode_response(self, output: Any) -> Any:
        """Leave it as it is."""
        return output


if __name__ == "__main__":
    server = litserve.LitServer(
        Api(max_batch_size=2048, batch_timeout=0.001),
        accelerator="cpu",
        workers_per_device=1,
        fast_queue=True,
    )
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=os.cpu_count(),
        generate_client_file=False,
        log_level="warning",
    )
