"""A stage that several files of this folder act on."""

from collections.abc import AsyncIterator

import pytest

from tests.runner.stage import Stage


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    yield made
    made.dispatcher.close()
