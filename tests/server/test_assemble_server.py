"""API workers share connections; open ones move unless that is off or TLS is on."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from headway.config.schema import ApiServerConfig
from headway.core.run_dir import RunDir
from headway.metrics import MetricsRegistry
from headway.server.edge_assembly import build_balancer


@pytest.mark.parametrize(
    ("workers", "settings", "moves"),
    [
        (2, {}, True),
        (64, {}, True),
        (1, {}, None),
        (2, {"balance": False}, False),
        (2, {"ssl_certfile": "cert.pem"}, False),
    ],
)
def test_connections_move_between_workers(
    tmp_path: Path, workers: int, settings: dict[str, Any], moves: bool | None
) -> None:
    registry = MetricsRegistry(None)
    registry.start()
    made = build_balancer(
        config=msgspec.structs.replace(ApiServerConfig(), **settings),
        index=0,
        workers=workers,
        registry=registry,
        run_dir=RunDir(path=tmp_path),
    )
    if made is None:
        assert moves is None
    else:
        assert bool(made._paths) == moves
    registry.close()
