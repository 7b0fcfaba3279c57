"""Reads a server's /metrics with the parser of prometheus_client."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple, Self

from prometheus_client.parser import text_string_to_metric_families

from tests.serving.client import request

__all__ = ["Metrics", "scrape", "scrape_until"]


class Metrics(NamedTuple):
    """All samples of one scrape."""

    samples: list[tuple[str, Mapping[str, str], float]]

    @classmethod
    def parse(cls, text: str) -> Self:
        return cls(
            [
                (sample.name, sample.labels, sample.value)
                for family in text_string_to_metric_families(text)
                for sample in family.samples
            ]
        )

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of that name with those labels."""
        return sum(
            value
            for sample, has, value in self.samples
            if sample == name and labels.items() <= has.items()
        )


async def scrape(port: int) -> Metrics:
    """Return the metrics of now."""
    response = await request(port, "/metrics", method="GET")
    assert response.status == 200
    return Metrics.parse(response.body.decode())


async def scrape_until(
    port: int, condition: Callable[[Metrics], bool], timeout_s: float = 10
) -> Metrics:
    """Scrape until something has come true; there is no event to wait for."""
    deadline = time.monotonic() + timeout_s
    while True:
        metrics = await scrape(port)
        if condition(metrics):
            return metrics
        assert time.monotonic() < deadline, metrics.samples
        await asyncio.sleep(0.01)
