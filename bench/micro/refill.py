"""QUERY_AVG of a user who is being served, while many other servers are replaced at once, and while nothing happens.

The storm: all READY servers of the pool are killed, which their wrapper replaces as fast as it may; when the pool is
full they are killed again, for as long as the turn lasts. By both launchers, because they cost differently.
"""

import asyncio
import contextlib
import signal
import time
from typing import Final

import aiohttp
from msgspec import Struct

from bench.micro.stage import Scale, Stage, milliseconds_since, staged
from bench.processes import servers
from bench.spread import Spread, spread
from smartgrid_client.api import SmartGridClient
from smartgrid_client.batches import Batch
from smartgrid_client.messages import Metric
from smartgrid_client.readings import Reading
from standby.identity import Role

_POOL: Final = 16
_PAUSE: Final = 0.005
"""Seconds between two requests of the user."""
_TURNS: Final = 4


class Refill(Struct, frozen=True, kw_only=True):
    query_avg_ms: dict[str, dict[str, Spread]]
    """By launcher, then `quiet` or `storm`."""
    refill_p99_ratio: dict[str, float]
    """By launcher: p99 in the storm ÷ p99 in the quiet."""
    replaced: dict[str, int]
    """Servers, by launcher."""


def measure(scale: Scale) -> Refill:
    spreads: dict[str, dict[str, Spread]] = {}
    replaced: dict[str, int] = {}
    for launcher in ("fork", "spawn"):
        environ = {"APP_WRAPPER_LAUNCHER": launcher}
        with staged(["--pool-size", str(_POOL)], ["anna"], environ) as stage:
            taken, replaced[launcher] = asyncio.run(_measure(stage, scale.seconds))
        spreads[launcher] = {name: spread(values) for name, values in taken.items()}
    return Refill(
        query_avg_ms=spreads,
        refill_p99_ratio={
            launcher: (by["storm"].p99 or 0) / (by["quiet"].p99 or 1)
            for launcher, by in spreads.items()
        },
        replaced=replaced,
    )


async def _measure(stage: Stage, seconds: float) -> tuple[dict[str, list[float]], int]:
    await _fill(stage)
    taken: dict[str, list[float]] = {"quiet": [], "storm": []}
    killed = 0
    async with aiohttp.ClientSession() as session, stage.client("anna") as client:
        login = await client.login(stage.access("anna").key())
        for number in range(_TURNS):
            for name in ("quiet", "storm") if number % 2 else ("storm", "quiet"):
                await stage.until_full(session, _POOL - 1)
                asking = asyncio.create_task(_ask(client, seconds))
                storm = asyncio.create_task(_storm(stage, session, login.boot_id))
                if name == "quiet":
                    storm.cancel()
                taken[name] += await asking
                storm.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await storm
                killed += _POOL - 1 if name == "storm" else 0
        await client.logout()
    return taken, killed


async def _fill(stage: Stage) -> None:
    """A month of readings to ask about."""
    async with stage.client("anna", Role.METER) as meter:
        await meter.login(stage.access("anna", Role.METER).key())
        for day in range(30):
            first = 1_600_000_000 + day * 86_400
            rows = (Reading(first + n * 60, 230.0 + n % 7, 0.5, 231.0) for n in range(1440))
            await meter.long_write(Batch(tuple(rows)))
        await meter.logout()


async def _ask(client: SmartGridClient, seconds: float) -> list[float]:
    taken = []
    until = time.perf_counter() + seconds
    while (began := time.perf_counter()) < until:
        await client.query_avg(Metric.POWER, bucket=86_400)
        taken.append(milliseconds_since(began))
        await asyncio.sleep(_PAUSE)
    return taken


async def _storm(stage: Stage, session: aiohttp.ClientSession, spared: str) -> None:
    while True:
        for server in await asyncio.to_thread(lambda: list(servers(stage.layout))):
            if server.boot_id != spared:
                server.process.send(signal.SIGKILL)
        await asyncio.sleep(_PAUSE)
        await stage.until_full(session, _POOL - 1)
