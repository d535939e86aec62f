"""Prometheus metrics: how they are named and served.

Names are `standby_<package>_<what>_<unit>`, base units (seconds, bytes), counters end in
`_total`. Labels come from enums and every combination is created at start, so a series exists before its first failure.
Never a user id in a label.
Each service has a registry of its own, passed to it, so that tests can run several in one process.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from standby.web import Endpoint

ROUTE_BUCKETS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 20)
"""Seconds; from an answer out of memory to the whole waiting room."""
RECYCLE_BUCKETS: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
"""Seconds; from a forked process to an enclave in a new container."""


def labelled(
    name: str, text: str, registry: CollectorRegistry, label: str, values: Iterable[StrEnum]
) -> Counter:
    """A counter with one label whose values all exist from the start."""
    counter = Counter(name, text, [label], registry=registry)
    for value in values:
        counter.labels(value.value)
    return counter


def endpoint(registry: CollectorRegistry) -> Endpoint:
    """`GET /metrics`."""

    async def handler(_request: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    return Endpoint("GET", "/metrics", handler, "metrics in Prometheus' text format")
