"""examples/credit_risk: train, save and serve it in production."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.examples.training import EXAMPLES, train
from tests.serving.client import Connection, request
from tests.serving.metrics import scrape
from tests.serving.server import Server

FOLDER = EXAMPLES / "credit_risk"
CONNECTIONS = 20
pytestmark = pytest.mark.timeout(60)

# What the model itself says, in a process that knows nothing of serving.
_PREDICT = """
import json, headway, xgboost
from applications import read_applications
applications, _ = read_applications()
booster = headway.xgboost.load_model("credit_risk_model:latest")
model = headway.xgboost.get("credit_risk_model:latest")
rows = model.custom_objects["dictVectorizer"].transform(applications)
risks = booster.predict(xgboost.DMatrix(rows)).tolist()
print(json.dumps([applications, risks]))
"""


class Example(NamedTuple):
    """The example, trained and served."""

    server: Server
    printed: str
    applications: list[dict[str, Any]]
    risks: list[float]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    home = tmp_path_factory.mktemp("home")
    _, printed = train("credit_risk", home)
    environment = {"HEADWAY_HOME": str(home)}
    answer = subprocess.run(
        [sys.executable, "-c", _PREDICT],
        cwd=FOLDER,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    with Server(
        "service:svc",
        production=True,
        config=(FOLDER / "headway.yaml").read_text(encoding="utf-8"),
        environment=environment,
        working_dir=FOLDER,
    ) as server:
        yield Example(server, printed, *json.loads(answer))


def test_training_prints_a_plausible_auc(example: Example) -> None:
    match = re.search(r"^AUC on 891 applications .*: (0\.\d+)$", example.printed, re.M)
    assert match, example.printed
    # Above 0.9 on this data, the model would have seen the answers.
    assert 0.8 < float(match[1]) < 0.9


async def test_statuses_are_the_model_s_own(example: Example) -> None:
    applications = example.applications
    answers: list[Any] = [None] * len(applications)

    async def ask(first: int) -> None:
        async with await Connection.open(example.server.port) as connection:
            for index in range(first, len(applications), CONNECTIONS):
                answer = await connection.request("/classify", applications[index])
                answers[index] = (answer.status, answer.json())

    await asyncio.gather(*map(ask, range(CONNECTIONS)))
    assert answers == [
        (200, {"status": "DECLINED" if risk > 0.5 else "APPROVED"})
        for risk in example.risks
    ]
    assert {risk > 0.5 for risk in example.risks} == {True, False}
    metrics = await scrape(example.server.port)
    rows = metrics.total("headway_runner_rows_total", runner="credit_risk_model")
    batches = metrics.total("headway_runner_batch_size_rows_count")
    assert rows >= len(applications)
    assert batches < rows  # applications shared batches


async def test_documented_example_is_answered(example: Example) -> None:
    port = example.server.port
    document = (await request(port, "/docs.json", method="GET")).json()
    operation = document["paths"]["/classify"]["post"]
    body = operation["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/CreditApplication"}
    schema = document["components"]["schemas"]["CreditApplication"]
    answer = await request(port, "/classify", schema["examples"][0])
    assert answer.json() == {"status": "APPROVED"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"home": "castle"}, "home: Input should be 'ignore'"),
        ({"age": "old"}, "age: Input should be a valid integer"),
        ({"amount": None}, "amount: Input should be a valid integer"),
    ],
)
async def test_wrong_field_is_named(
    example: Example, change: dict[str, Any], complaint: str
) -> None:
    application = {**example.applications[0], **change}
    answer = await request(example.server.port, "/classify", application)
    assert answer.status == 400
    assert complaint in answer.error["message"]


async def test_missing_field_is_named(example: Example) -> None:
    application = {**example.applications[0]}
    del application["income"]
    answer = await request(example.server.port, "/classify", application)
    assert answer.status == 400
    assert "income: Field required" in answer.error["message"]


def test_web_workers_do_not_load_xgboost(example: Example) -> None:
    loads = {
        name: "libxgboost" in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
        for name, pid in example.server.processes().items()
    }
    runner = loads.pop("runner-credit_risk_model")
    assert runner
    assert loads
    assert not any(loads.values()), loads
