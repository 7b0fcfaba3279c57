"""A runner client that notes each call in the journey of its request.

assemble_observation makes clients of this kind if an observer stands before the
application.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from headway.api.call_record import CallRecord
from headway.api.request_options import REQUEST_OPTIONS
from headway.api.request_trace import RequestTrace
from headway.api.runner_client import RunnerClient
from headway.core.method_spec import MethodSpec
from headway.errors import HeadwayError

__all__ = ["ObservedClient"]


class ObservedClient(RunnerClient):
    """Carries the calls of one API worker to one runner, and has them noted."""

    def call(
        self,
        method: MethodSpec,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        record: CallRecord | None = None,
    ) -> Coroutine[Any, Any, Any]:
        """Run a method; see RunnerMethod.async_run for what it raises."""
        terms = REQUEST_OPTIONS.get(None)
        if terms is None or terms.journey is None:
            return RunnerClient.call(self, method, args, kwargs, record)
        return self._observed_call(terms.journey, method, args, kwargs)

    async def _observed_call(
        self,
        journey: RequestTrace,
        method: MethodSpec,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        record = journey.begin_call(self.name, method.name)
        try:
            return await super().call(method, args, kwargs, record)
        except HeadwayError as error:
            record.failed = error.code
            raise
        except asyncio.CancelledError:
            record.failed = "cancelled"
            raise
        finally:
            journey.end_call(record)
