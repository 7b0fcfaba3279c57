"""Generated locustfiles are valid Python and send the given samples."""

import ast

from hypothesis import given
from hypothesis import strategies as st

from headway.tools.load.locust_process import closed_users, open_users
from headway.tools.sample_request import SampleRequest

samples = st.lists(
    st.builds(
        SampleRequest,
        st.text().map(lambda text: f"/{text}"),
        st.binary(),
        st.text(),
    ),
    min_size=1,
)


@given(samples)
def test_closed_users_have_a_task_for_each_sample(
    given_samples: list[SampleRequest],
) -> None:
    [users] = [
        node
        for node in ast.parse(closed_users(given_samples)).body
        if isinstance(node, ast.ClassDef)
    ]
    tasks = [node for node in users.body if isinstance(node, ast.FunctionDef)]
    assert len({task.name for task in tasks}) == len(given_samples)
    found = []
    for task in tasks:
        assert isinstance(task.body[0], ast.Expr)
        call = task.body[0].value
        assert isinstance(call, ast.Call)
        route, body = (ast.literal_eval(argument) for argument in call.args)
        headers = ast.literal_eval(call.keywords[0].value)
        found.append(SampleRequest(route, body, headers["Content-Type"]))
    assert found == given_samples


@given(samples, st.floats(min_value=0.001, max_value=1e6))
def test_open_users_have_the_rate_and_all_samples(
    given_samples: list[SampleRequest], per_s: float
) -> None:
    calls = [
        node
        for node in ast.walk(ast.parse(open_users(given_samples, per_s)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    [arrivals] = [call for call in calls if call.func.id == "Poisson"]  # type: ignore[attr-defined]  # all are names
    assert ast.literal_eval(arrivals.args[0]) == per_s
    found = []
    for call in calls:
        if call is not arrivals:
            route, body = (ast.literal_eval(argument) for argument in call.args)
            content_type = ast.literal_eval(call.keywords[0].value)
            found.append(SampleRequest(route, body, content_type))
    assert found == given_samples
