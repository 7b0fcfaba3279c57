"""Fixtures of every test: a model store of its own, a port that nobody listens on."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from headway.ipc import frames as wire

# Of the whole suite, three files at a time; one file alone tries 100, with a deadline.
settings.register_profile("suite", deadline=None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what derives from a class, or patches a name, that is compiled here."""
    if str(wire.__file__).endswith(".py"):
        return
    skip = pytest.mark.skip(reason="derives from or patches what is compiled here")
    for item in items:
        if item.get_closest_marker("interpreted"):
            item.add_marker(skip)


@pytest.fixture(scope="session", autouse=True)
def headway_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the user's own models out of the tests, in child processes too."""
    home = tmp_path_factory.mktemp("headway-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADWAY_HOME", str(home))
        patch.delenv("HEADWAY_CONFIG", raising=False)
        yield home


@pytest.fixture
def free_port() -> int:
    """Return a TCP port of the loopback address that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
