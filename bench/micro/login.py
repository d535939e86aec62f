"""LOGIN on a new connection by approach, and how many whole sessions a pool sustains.

LOGIN is measured while the pool is full, so it is the path that is compared and not a wait; the approach `trivial` runs
the same server with the user's volume already claimed. Between two LOGINs the pool is left to fill.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Final

import aiohttp
from msgspec import Struct

from bench.micro.stage import Scale, Stage, in_turns, milliseconds_since, staged
from bench.spread import Spread, ratio, spread
from smartgrid_client import requests
from smartgrid_client.batches import Batch
from smartgrid_client.readings import Reading
from smartgrid_client.session import Session
from standby.identity import Role

_POOL: Final = 4
_SUSTAINED_POOL: Final = 16
_CLIENTS: Final = 6
"""Users who are busy at the same time; more would only wait for the processor."""
_ROWS: Final = 240
"""One hour of 15-second readings."""
_FIRST: Final = 1_600_000_000
_UIDS: Final = tuple(f"user-{number}" for number in range(32))


class Logins(Struct, frozen=True, kw_only=True):
    login_ms: dict[str, Spread]
    """By approach."""
    login_ratio: dict[str, float]
    """p50 and p99: standby ÷ trivial."""
    sessions_per_second: float
    sessions: int


def measure(scale: Scale) -> Logins:
    fork = {"APP_WRAPPER_LAUNCHER": "fork"}
    with contextlib.ExitStack() as stack:
        options = ["--pool-size", str(_POOL)]
        standby = stack.enter_context(staged(options, _UIDS[:2], fork))
        trivial = stack.enter_context(staged(["--approach", "trivial"], _UIDS[:2], fork))
        taken = asyncio.run(_logins(standby, trivial, scale.rounds * 3))
    with staged(["--pool-size", str(_SUSTAINED_POOL)], _UIDS, fork) as stage:
        sessions, seconds = asyncio.run(_sessions(stage, scale.seconds * 4))
    spreads = {name: spread(values) for name, values in taken.items()}
    return Logins(
        login_ms=spreads,
        login_ratio={
            "p50": ratio(spreads["standby"].p50, spreads["trivial"].p50),
            "p99": ratio(spreads["standby"].p99, spreads["trivial"].p99),
        },
        sessions_per_second=sessions / seconds,
        sessions=sessions,
    )


async def _logins(standby: Stage, trivial: Stage, rounds: int) -> dict[str, list[float]]:
    async with aiohttp.ClientSession() as session:

        async def full() -> None:
            await standby.until_full(session, _POOL)

        return await in_turns(
            {"standby": partial(_login, standby, full), "trivial": partial(_login, trivial, full)},
            rounds,
        )


async def _login(stage: Stage, full: Callable[[], Awaitable[None]]) -> float:
    await full()
    async with stage.client(_UIDS[0]) as client:
        key = stage.access(_UIDS[0]).key()
        began = time.perf_counter()
        await client.login(key)
        taken = milliseconds_since(began)
        await client.logout()
    return taken


async def _sessions(stage: Stage, seconds: float) -> tuple[int, float]:
    """How many sessions were served, and in how many seconds."""
    began = time.perf_counter()
    free, numbers = list(_UIDS), itertools.count()
    counts = await asyncio.gather(
        *(_one_after_another(stage, free, numbers, began + seconds) for _ in range(_CLIENTS))
    )
    return sum(counts), time.perf_counter() - began


async def _one_after_another(
    stage: Stage, free: list[str], numbers: Iterator[int], until: float
) -> int:
    """LOGIN, LONG_WRITE, LOGOUT of whoever has been idle for longest."""
    served = 0
    while time.perf_counter() < until:
        uid = free.pop(0)
        access = stage.access(uid, Role.METER)
        first = _FIRST + next(numbers) * _ROWS
        batch = Batch(tuple(Reading(first + n, 230.0, 0.5, 231.0) for n in range(_ROWS)))
        client = access.client(stage.running)
        async with Session(
            client, access.key(), lambda _attempt: None, stop=asyncio.Event()
        ) as session:
            await session.perform(requests.long_write(batch))
        served += 1
        free.append(uid)
    return served
