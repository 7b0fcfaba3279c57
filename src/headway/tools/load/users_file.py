"""Writes a locustfile: users who ask what the service's documentation has as samples.

The load command calls it; what it writes is the user's to edit.
"""

import re
from collections.abc import Sequence

from headway.tools.sample_request import Question

__all__ = ["closed_users", "open_users"]

_CLOSED = '''"""Users of a service: each asks again some time after it was answered."""

from locust import FastHttpUser, between, task


class Visitor(FastHttpUser):
    wait_time = between(0.01, 2)
'''
_TASK = """
    @task
    def {name}(self):
        self.client.post({route!r}, {body!r}, headers={headers!r})
"""
_OPEN = '''"""Requests that come at their rate, however slowly they are answered."""

from headway.locust import OpenLoopUser, Poisson, Request


class Visitors(OpenLoopUser):
    arrivals = Poisson({per_s!r})
    requests = [
{requests}
    ]
'''


def closed_users(questions: Sequence[Question]) -> str:
    """Return a locustfile of users who wait for their answers.

    Args:
        questions: Each user asks one of them at a time, all equally often.
    """
    names: set[str] = set()
    text = _CLOSED
    for question in questions:
        name = re.sub(r"\W+", "_", question.route, flags=re.ASCII).strip("_")
        name = f"ask_{name}" if name else "ask"
        while name in names:
            name += "_"
        names.add(name)
        text += _TASK.format(
            name=name,
            route=question.route,
            body=question.body,
            headers={"Content-Type": question.content_type},
        )
    return text


def open_users(questions: Sequence[Question], per_s: float) -> str:
    """Return a locustfile of requests that come at a rate of their own.

    Args:
        questions: Are asked in turn.
        per_s: Rate of each of Locust's users.
    """
    lines = [
        f"        Request({question.route!r}, {question.body!r}, "
        f"content_type={question.content_type!r}),"
        for question in questions
    ]
    return _OPEN.format(per_s=per_s, requests="\n".join(lines))
