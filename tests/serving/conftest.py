"""Servers that several tests share; these tests must leave them working."""

from collections.abc import Iterator

import pytest

from tests.serving.server import Server

_CONFIG = """
api_server:
  workers: 2
  max_body_bytes: 100000
  timeout: 10
runners:
  rows:
    resources:
      cpu: 3
      nvidia.com/gpu: [5, 7]
    workers_per_resource: 0.5   # one replica that sees both GPUs
"""


@pytest.fixture(scope="session", params=["embedded", "production"])
def rows_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Return a server of tests/services/rows.py, once for each kind of server."""
    is_production = request.param == "production"
    with Server("rows:svc", production=is_production, config=_CONFIG) as server:
        yield server


@pytest.fixture(params=["embedded", "production"])
def production(request: pytest.FixtureRequest) -> bool:
    """Whether to serve with several processes; tests run with both."""
    return bool(request.param == "production")
