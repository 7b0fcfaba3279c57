"""API workers share connections; open ones move unless that is off or TLS is on."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

import headway
from headway.config.resolution import ResolvedConfig
from headway.config.schema import ApiServerConfig, HeadwayConfig
from headway.core.run_dir import RunDir
from headway.metrics import MetricsRegistry
from headway.server.assembly import Assembly


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
async def test_connections_move_between_workers(
    tmp_path: Path, workers: int, settings: dict[str, Any], moves: bool | None
) -> None:
    registry = MetricsRegistry(None)
    registry.start()
    assembly = Assembly(
        process="api-0",
        service=headway.Service("balanced"),
        config=ResolvedConfig(
            config=HeadwayConfig(
                api_server=msgspec.structs.replace(ApiServerConfig(), **settings)
            )
        ),
        registry=registry,
        run_dir=RunDir(path=tmp_path),
    )
    made = assembly.balancer(index=0, workers=workers)
    if made is None:
        assert moves is None
    else:
        assert bool(made._paths) == moves
    registry.close()
