"""Runners in this process: calls, names, options and errors."""

import copy
from typing import Any

import pytest

import headway
from headway.errors import ConfigError, UsageError
from headway.service.runner import MethodOptions


class Echo(headway.Runnable):
    @headway.Runnable.method
    def echo(self, value: Any) -> Any:
        return value


async def test_unserved_runner_says_where_to_add_it() -> None:
    runner = headway.Runner(Echo, name="echo")
    with pytest.raises(UsageError) as caught:
        await runner.echo.async_run(1)
    assert "runner 'echo'" in caught.value.message
    assert "add it to Service(runners=[...])" in caught.value.message
    assert "`runner.init_local()`" in caught.value.message
    runner.init_local()
    assert await runner.echo.async_run(1) == 1


class Model(headway.Runnable):
    def __init__(self, factor: int = 2) -> None:
        self.factor = factor

    @headway.Runnable.method(batchable=True)
    def predict(self, x: Any) -> Any:
        return x * self.factor

    @headway.Runnable.method
    def explain(self, x: Any, *, detail: int = 0) -> Any:
        return [x, detail]


class WithCall(Model):
    @headway.Runnable.method
    def __call__(self, x: Any) -> Any:
        return ["called", x]


class Empty(headway.Runnable):
    def predict(self, x: Any) -> Any:
        return x


class Async(headway.Runnable):
    @headway.Runnable.method
    async def predict(self, x: Any) -> Any:
        return x


async def test_init_local_runs_the_model_in_this_process() -> None:
    runner = headway.Runner(Model, runnable_init_params={"factor": 3})
    runner.init_local(quiet=True)
    assert await runner.predict.async_run(5) == 15
    assert runner.predict.run(5) == 15
    assert runner.explain.run(1, detail=2) == [1, 2]
    with pytest.raises(TypeError):
        runner.predict.run()


async def test_default_method_is_call_or_the_only_one() -> None:
    only, call = headway.Runner(Echo), headway.Runner(WithCall)
    for runner in (only, call):
        runner.init_local()
    assert await only.async_run(1) == only.run(1) == 1
    assert await call.async_run(1) == call.run(1) == ["called", 1]
    several = headway.Runner(Model)
    several.init_local()
    with pytest.raises(UsageError, match=r"several methods \['explain', 'predict'\]"):
        several.run(1)


def test_unknown_method_error_lists_the_methods() -> None:
    runner = headway.Runner(Model)
    with pytest.raises(AttributeError, match=r"has no method 'predic'; it has \['ex"):
        runner.predic  # noqa: B018 - the look is what raises
    assert not hasattr(runner, "score")
    assert repr(runner) == "Runner(name='model', methods=['explain', 'predict'])"
    assert copy.copy(runner).name == "model"


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        (None, "model"),
        ("", "model"),
        ("Credit-2.x", "credit-2.x"),
        ("a" * 63, "a" * 63),
    ],
)
def test_runner_names_are_lower_case(name: str | None, becomes: str) -> None:
    assert headway.Runner(Model, name=name).name == becomes


@pytest.mark.parametrize("name", ["a b", "-a", "a.", "ä", "a/b", "a" * 64, "a\n"])
def test_malformed_runner_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="use at most 63 of a-z"):
        headway.Runner(Model, name=name)


def test_options_for_all_methods_or_by_method() -> None:
    runner = headway.Runner(
        Model,
        max_batch_size=10,
        max_latency_ms=5,
        method_configs={"predict": {"max_batch_size": 32}},
        embedded=True,
        scheduling_strategy=object(),
    )
    assert runner.options == {
        "predict": MethodOptions(32, 5.0),
        "explain": MethodOptions(10, 5.0),
    }
    assert headway.Runner(Model).options["predict"] == MethodOptions()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"method_configs": {"predic": {}}}, r"method_configs names \['predic'\]"),
        (
            {"method_configs": {"predict": {"size": 1}}},
            r"unknown field `size`; its options are",
        ),
        ({"method_configs": {"predict": {"max_batch_size": "9"}}}, "Expected `int"),
        ({"method_configs": {"predict": 5}}, "method 'predict': give its options"),
        ({"max_batch_size": 1.5}, "Expected `int"),
        ({"max_latency_ms": "fast"}, "Expected `float"),
    ],
)
def test_unknown_or_invalid_options_are_refused(
    options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        headway.Runner(Model, **options)


@pytest.mark.parametrize(
    ("kind", "says"),
    [(Empty, "has no method marked with"), (Async, "method 'predict' is async")],
)
def test_class_without_usable_methods_is_refused(
    kind: type[headway.Runnable], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        headway.Runner(kind)
