"""FastAPI with the model inline: no batches; uvicorn runs a process for each core."""

from typing import Any

from benchmarks.peers.services.application import CreditApplication
from benchmarks.peers.services.inference import NAME, answer_all, load, predict_all
from fastapi import FastAPI, Request

app = FastAPI()
predict = load()

if NAME == "image":

    @app.post("/predict")
    async def classify_image(request: Request) -> list[list[float]]:
        """Classify images."""
        return answer_all(predict, [await request.body()])[0]

elif NAME == "credit":

    @app.post("/predict")
    async def decide(applications: list[CreditApplication]) -> list[str]:
        """Say whether to lend."""
        return predict_all(predict, [[one.model_dump() for one in applications]])[0]

else:

    @app.post("/predict")
    async def classify(rows: list[list[float]]) -> list[Any]:
        """Classify flowers."""
        return predict_all(predict, [rows])[0]
