"""What a runner says when nobody serves it."""

from typing import Any

import pytest

import headway
from headway.errors import UsageError


class Echo(headway.Runnable):
    @headway.Runnable.method
    def echo(self, value: Any) -> Any:
        return value


async def test_a_runner_that_no_service_lists_says_where_to_add_it() -> None:
    runner = headway.Runner(Echo, name="echo")
    with pytest.raises(UsageError) as caught:
        await runner.echo.async_run(1)
    assert "runner 'echo'" in caught.value.message
    assert "add it to Service(runners=[...])" in caught.value.message
    assert "`runner.init_local()`" in caught.value.message
    runner.init_local()
    assert await runner.echo.async_run(1) == 1
