"""How many connections are made, when, and what came of them."""

import random
from collections.abc import Iterator

from msgspec import Struct


class Load(Struct, frozen=True):
    """Either so many connections per second, or so many clients that connect again and again."""

    rate: float | None
    """Connections per second, whatever becomes of the earlier ones; None: `clients` says it."""
    clients: int
    """Connections in flight, shared among the users in turn; of no meaning with a rate."""
    seconds: float
    """Measured, after the warm-up."""
    warm_up: float
    seed: int

    @property
    def length(self) -> float:
        """Seconds in which connections are begun."""
        return self.warm_up + self.seconds


class Job(Struct, frozen=True, kw_only=True):
    """What the driver is told."""

    port: int
    users: list[str]
    load: Load
    requests_file: str
    once: bool = False
    """Every user connects once and every second one again, whatever the load says of seconds."""


class Driven(Struct, frozen=True, kw_only=True):
    """What came of it; everything but `generator_processors` without the warm-up."""

    seconds: float
    """Measured."""
    done: int
    """Connections begun in these seconds and answered as wanted."""
    failed: int
    throughput: float
    """Right answers that came within these seconds, per second."""
    lag_p99_ms: float
    """How late the driver began connections by itself."""
    generator_processors: float
    """Mean of the whole run."""
    asked: float = 0.0
    """Questions to the Routing Manager per connection, warm-up included."""


def arrivals(job: Job) -> Iterator[tuple[float, int]]:
    """Seconds from the beginning, and whose connection it is, of those that wait for no other.

    With a rate they are a Poisson process, as of clients that know nothing of each other. Users take turns in an order
    made from the seed, so each connects equally often. Without a rate the clients begin spread over half the warm-up,
    and each goes on by itself.
    """
    chance = random.Random(job.load.seed)  # noqa: S311  # any order will do, but the same each time
    order = chance.sample(range(len(job.users)), len(job.users))
    if job.once:
        yield from _evenly(order + order[::2], job.load.rate or 1.0)
    elif job.load.rate is None:
        step = job.load.warm_up / 2 / max(1, job.load.clients)
        for client in range(job.load.clients):
            yield client * step, order[client % len(order)]
    else:
        yield from _poisson(order, job.load.rate, job.load.length, chance)


def _evenly(users: list[int], rate: float) -> Iterator[tuple[float, int]]:
    for number, user in enumerate(users):
        yield number / rate, user


def _poisson(
    order: list[int], rate: float, length: float, chance: random.Random
) -> Iterator[tuple[float, int]]:
    at, number = chance.expovariate(rate), 0
    while at < length:
        yield at, order[number % len(order)]
        at, number = at + chance.expovariate(rate), number + 1
