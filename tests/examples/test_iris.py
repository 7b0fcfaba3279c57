"""examples/iris: train, save and serve it in one process."""

from pathlib import Path

import pytest
from sklearn.datasets import load_iris

import headway
from tests.examples.training import EXAMPLES, train
from tests.serving.client import request
from tests.serving.server import Server

FOLDER = EXAMPLES / "iris"


async def test_species_are_the_forest_s_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag, _ = train("iris", tmp_path)
    monkeypatch.setenv("HEADWAY_HOME", str(tmp_path))
    flowers = load_iris().data
    own = headway.sklearn.load_model(tag).predict(flowers).tolist()
    config = (FOLDER / "headway.yaml").read_text(encoding="utf-8")
    with Server("service:svc", config=config, working_dir=FOLDER) as server:
        answer = await request(server.port, "/classify", flowers.tolist())
        assert answer.json() == own
        answer = await request(server.port, "/classify", [[1.0, 2.0, 3.0]])
        assert answer.status == 400
    assert set(own) == {0, 1, 2}
