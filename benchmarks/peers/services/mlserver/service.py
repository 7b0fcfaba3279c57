"""MLServer: a custom runtime with adaptive batching, in a worker process of its own."""

import base64
import json
from typing import Any

import numpy as np
from benchmarks.peers.services.inference import NAME, load, rows_of
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import (
    InferenceRequest,
    InferenceResponse,
    RequestInput,
    ResponseOutput,
)


class Runtime(MLModel):
    """Answers batches, which come as one request."""

    async def load(self) -> bool:
        """Load the model."""
        self._predict = load()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Return the answers."""
        answers = self._predict(_rows(payload.inputs[0]))
        return InferenceResponse(model_name=self.name, outputs=[_output(answers)])


def _rows(rows: RequestInput) -> Any:
    if NAME == "credit":
        return [json.loads(text) for text in rows.data]
    if NAME == "image":
        return np.concatenate([rows_of(base64.b64decode(text)) for text in rows.data])
    return NumpyCodec.decode_input(rows)


def _output(answers: Any) -> ResponseOutput:
    if NAME == "credit":
        shape = [len(answers), 1]
        return ResponseOutput(
            name="predict", shape=shape, datatype="BYTES", data=answers
        )
    return NumpyCodec.encode_output("predict", np.asarray(answers))
