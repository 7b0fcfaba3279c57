"""The task of an API function: to the function, what an asyncio.Task would be."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import anyio
import numpy as np
import pytest

from headway.api import function_task
from headway.api.call_future import CallFuture
from headway.api.function_task import FunctionTask
from headway.api.request_options import REQUEST_OPTIONS
from tests.api.wire import PREDICT, Wire

pytestmark = pytest.mark.interpreted
PLACE: ContextVar[str] = ContextVar("place", default="nowhere")


class Task(FunctionTask):
    """Keeps the outcome."""

    def __init__(self) -> None:
        super().__init__(float("inf"), 5, asyncio.get_running_loop())
        self.result: Any = None
        self.error: BaseException | None = None
        self.over = asyncio.Event()

    def returned(self, value: Any) -> None:
        self.result = value
        self.over.set()

    def raised(self, error: BaseException) -> None:
        self.error = error.with_traceback(None)
        self.over.set()

    async def outcome(self) -> Any:
        async with asyncio.timeout(10):
            await self.over.wait()
        if self.error is not None:
            raise self.error
        return self.result


def start(function: Callable[..., Any], *args: Any) -> Task:
    task = Task()
    task.start(function, args)
    return task


def future() -> CallFuture:
    made = CallFuture(loop=asyncio.get_running_loop())
    made.task = None
    return made


@pytest.fixture(params=["own", "plain"])
def _any_task(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run functions in a task of our own, and in an asyncio.Task."""
    monkeypatch.setattr(function_task, "HAS_OWN_TASK", request.param == "own")


async def test_it_begins_at_once_and_goes_on_at_once() -> None:
    answer = future()
    seen = []

    async def function(x: int) -> int:
        seen.append(x)
        value: int = await answer
        return x + value

    task = start(function, 1)
    assert seen == [1]
    assert not task.done()
    answer.set_result(2)
    assert answer.task is task
    task.wake()
    assert (task.done(), task.result) == (True, 3)
    assert not task.cancel()


async def test_it_is_the_current_task_from_start_to_end() -> None:
    answer = future()
    seen: list[object] = []

    async def function() -> None:
        seen.append(asyncio.current_task())
        await answer
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    outer = asyncio.current_task()
    task = start(function)
    assert asyncio.current_task() is outer
    answer.set_result(None)
    task.wake()
    assert asyncio.current_task() is outer
    await task.outcome()
    assert seen == [task] * 3
    assert task.get_name().startswith("API function")
    assert task.get_loop() is asyncio.get_running_loop()
    assert (task.get_coro(), task.get_context()) == (None, None)


@pytest.mark.usefixtures("_any_task")
async def test_context_variables_are_its_own() -> None:
    async def function(name: str) -> str:
        assert PLACE.get() == "nowhere"
        PLACE.set(name)
        await asyncio.sleep(0)
        return PLACE.get()

    tasks = [start(function, name) for name in "abc"]
    assert [await task.outcome() for task in tasks] == ["a", "b", "c"]
    assert PLACE.get() == "nowhere"
    assert REQUEST_OPTIONS.get(None) is None


async def _gather() -> Any:
    return await asyncio.gather(asyncio.sleep(0, 1), asyncio.sleep(0.001, 2))


async def _group() -> Any:
    async with asyncio.TaskGroup() as group:
        one = group.create_task(asyncio.sleep(0, 1))
        two = group.create_task(asyncio.sleep(0.001, 2))
    return [one.result(), two.result()]


async def _anyio_group() -> Any:
    results = []

    async def append(value: int) -> None:
        await anyio.sleep(0.001)
        results.append(value)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(append, 1)
            group.start_soon(append, 2)
    return sorted(results)


async def _thread() -> Any:
    return [await asyncio.to_thread(int, "1"), await anyio.to_thread.run_sync(int, "2")]


async def _wait_for() -> Any:
    return [
        await asyncio.wait_for(asyncio.sleep(0, 1), 10),
        await asyncio.shield(asyncio.sleep(0, 2)),
    ]


@pytest.mark.usefixtures("_any_task")
@pytest.mark.parametrize(
    "function", [_gather, _group, _anyio_group, _thread, _wait_for]
)
async def test_gather_groups_threads_and_wait_for_work(
    function: Callable[[], Awaitable[Any]],
) -> None:
    assert await start(function).outcome() == [1, 2]


@pytest.mark.usefixtures("_any_task")
async def test_time_outs_work_for_any_future() -> None:
    async def ours(answer: CallFuture) -> str:
        try:
            async with asyncio.timeout(0.001):
                await answer
        except TimeoutError:
            return "late"
        return "in time"

    async def any_one(answer: asyncio.Future[None]) -> str:
        with anyio.move_on_after(0.001):
            await answer
            return "in time"
        return "late"

    answer = future()
    assert await start(ours, answer).outcome() == "late"
    assert answer.cancelled()
    other = asyncio.get_running_loop().create_future()
    assert await start(any_one, other).outcome() == "late"
    assert other.cancelled()


@pytest.mark.usefixtures("_any_task")
async def test_a_failing_group_cancels_it() -> None:
    async def fail() -> None:
        raise ValueError("no")

    async def function() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            await future()

    with pytest.raises(ExceptionGroup) as caught:
        await start(function).outcome()
    assert isinstance(caught.value.exceptions[0], ValueError)


@pytest.mark.parametrize("is_ours", [True, False])
async def test_cancel_raises_in_the_function_where_it_waits(is_ours: bool) -> None:
    loop = asyncio.get_running_loop()
    waited: asyncio.Future[None] = future() if is_ours else loop.create_future()
    cleaned = []

    async def function() -> None:
        try:
            await waited
        finally:
            cleaned.append(True)

    task = start(function)
    assert task.cancel()
    assert task.cancelling() == 1
    with pytest.raises(asyncio.CancelledError):
        await task.outcome()
    assert cleaned == [True]


async def test_cancel_while_it_runs_raises_when_it_waits() -> None:
    async def function(waited: CallFuture | None) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await (asyncio.sleep(0) if waited is None else waited)

    for waited in (future(), None):
        with pytest.raises(asyncio.CancelledError):
            await start(function, waited).outcome()


@pytest.mark.usefixtures("_any_task")
async def test_a_function_may_catch_its_cancellation() -> None:
    async def function() -> str:
        try:
            await future()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            assert task.uncancel() == 0
            await asyncio.sleep(0)
        return "went on"

    task = start(function)
    await asyncio.sleep(0)
    task.cancel()
    assert await task.outcome() == "went on"
    assert task.uncancel() == 0


async def test_a_plain_task_may_be_cancelled_before_it_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(function_task, "HAS_OWN_TASK", False)

    async def function() -> None:
        raise AssertionError("it never begins")

    task = start(function)
    assert task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task.outcome()
    assert task.done()


@pytest.mark.usefixtures("_any_task")
async def test_an_error_is_its_outcome() -> None:
    async def function() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await start(function).outcome()


@pytest.mark.usefixtures("_any_task")
@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_an_end_of_the_program_comes_after_the_other_answers_of_the_turn(
    end: type[BaseException],
) -> None:
    tasks: list[Task] = []

    async def serve() -> None:
        wire = Wire(timeout_s=10.0)

        async def function(*, ends: bool) -> float:
            x = np.array([[1.0]])
            result = await wire.client.call(PREDICT, (x,), {})
            if ends:
                raise end
            return float(result[0])

        tasks.extend(
            start(functools.partial(function, ends=ends)) for ends in (True, False)
        )
        wire.answer(await wire.calls(), [1.0, 2.0])
        await asyncio.Event().wait()

    with pytest.raises(end):
        asyncio.run(serve())
    assert isinstance(tasks[0].error, end)
    assert tasks[1].result == 2.0


async def test_awaiting_a_non_awaitable_raises_in_the_function() -> None:
    class Odd:
        def __await__(self) -> Any:
            yield "nothing to wait for"

    async def function() -> None:
        await Odd()

    with pytest.raises(RuntimeError, match="no awaitable"):
        await start(function).outcome()


@pytest.mark.usefixtures("_any_task")
async def test_functions_may_return_any_awaitable() -> None:
    def function() -> asyncio.Future[int]:
        result: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        result.set_result(5)
        return result

    assert await start(function).outcome() == 5


async def test_a_wake_after_the_end_does_nothing() -> None:
    async def function() -> int:
        return 1

    task = start(function)
    task.wake()
    assert task.result == 1


@pytest.mark.usefixtures("_any_task")
async def test_child_tasks_call_runners_too() -> None:
    wire = Wire(timeout_s=10.0)

    async def function() -> list[float]:
        x = np.array([[1.0]])
        parts = await asyncio.gather(
            *(wire.client.call(PREDICT, (x,), {}) for _ in range(3)),
        )
        last = await wire.client.call(PREDICT, (x,), {})
        return [float(part[0]) for part in (*parts, last)]

    task = start(function)
    wire.answer(await wire.calls(), [1.0, 2.0, 3.0])
    wire.answer(await wire.calls(), [4.0])
    assert await task.outcome() == [1.0, 2.0, 3.0, 4.0]


async def test_sub_classes_must_take_the_outcome() -> None:
    task = FunctionTask(0.0, 5, asyncio.get_running_loop())
    with pytest.raises(NotImplementedError):
        task.returned(None)
    with pytest.raises(NotImplementedError):
        task.raised(ValueError())
