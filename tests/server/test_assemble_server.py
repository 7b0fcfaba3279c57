"""Who moves connections: several API workers, unless it is turned off or TLS is on."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from headway.config.schema import ApiServerConfig
from headway.core.run_dir import RunDir
from headway.http.balancer import ConnectionBalancer
from headway.metrics import MetricsRegistry
from headway.server.edge_assembly import build_neighbours


@pytest.mark.parametrize(
    ("workers", "settings", "move"),
    [
        (2, {}, True),
        (64, {}, True),
        (1, {}, False),
        (2, {"balance": False}, False),
        (2, {"ssl_certfile": "cert.pem"}, False),
    ],
)
def test_connections_move_between_workers(
    tmp_path: Path, workers: int, settings: dict[str, Any], move: bool
) -> None:
    registry = MetricsRegistry(None)
    registry.start()
    made = build_neighbours(
        settings=msgspec.structs.replace(ApiServerConfig(), **settings),
        index=0,
        workers=workers,
        registry=registry,
        run_dir=RunDir(path=tmp_path),
    )
    assert isinstance(made, ConnectionBalancer) == move
    registry.close()
