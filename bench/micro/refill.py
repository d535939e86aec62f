"""QUERY_AVG of a user who is being served, while many other servers are replaced at once, and while nothing happens.

The storm (`storm`) has the wrapper replace all other servers of its pool again and again, as fast as it may. By both
launchers, because they cost differently.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
from msgspec import Struct

from bench.micro.stage import Scale, Stage, milliseconds_since, staged
from bench.micro.storm import BRAKES_OFF
from bench.processes import servers
from bench.spread import Spread, ratio, spread
from smartgrid_client.api import SmartGridClient
from smartgrid_client.batches import Batch
from smartgrid_client.messages import Metric
from smartgrid_client.readings import Reading
from standby.identity import Role
from standby.processes import dies_with_parent

_POOL: Final = 16
_PAUSE: Final = 0.005
"""Seconds between two requests of the user."""
_TURNS: Final = 4


class Refill(Struct, frozen=True, kw_only=True):
    query_avg_ms: dict[str, dict[str, Spread]]
    """By launcher, then `quiet` or `storm`."""
    refill_p99_ratio: dict[str, float]
    """By launcher: p99 in the storm ÷ p99 in the quiet."""
    waited_ms: dict[str, dict[str, float]]
    """By launcher, then `quiet` or `storm`: mean per request of how long client, HAProxy and server together were ready
    to run and waited for a processor."""
    replaced: dict[str, int]
    """Servers, by launcher."""


@dataclass(slots=True)
class _Turns:
    """What all turns of one kind came to."""

    taken: list[float] = field(default_factory=list)
    """Milliseconds of each request."""
    waited: float = 0.0
    """Milliseconds that the processes on the way waited for a processor."""


def measure(scale: Scale) -> Refill:
    turns: dict[str, dict[str, _Turns]] = {}
    replaced: dict[str, int] = {}
    for launcher in ("fork", "spawn"):
        environ = {"APP_WRAPPER_LAUNCHER": launcher, **BRAKES_OFF}
        with staged(["--pool-size", str(_POOL)], ["anna"], environ) as stage:
            turns[launcher], replaced[launcher] = asyncio.run(_measure(stage, scale.seconds))
    spreads = {
        launcher: {name: spread(each.taken) for name, each in by.items()}
        for launcher, by in turns.items()
    }
    return Refill(
        query_avg_ms=spreads,
        refill_p99_ratio={
            launcher: ratio(by["storm"].p99, by["quiet"].p99) for launcher, by in spreads.items()
        },
        waited_ms={
            launcher: {name: each.waited / len(each.taken) for name, each in by.items()}
            for launcher, by in turns.items()
        },
        replaced=replaced,
    )


async def _measure(stage: Stage, seconds: float) -> tuple[dict[str, _Turns], int]:
    await _fill(stage)
    turns = {"quiet": _Turns(), "storm": _Turns()}
    replaced = 0
    async with aiohttp.ClientSession() as session, stage.client("anna") as client:
        login = await client.login(stage.access("anna").key())
        on_the_way = _on_the_way(stage, login.boot_id)
        for number in range(_TURNS):
            for name in ("quiet", "storm") if number % 2 else ("storm", "quiet"):
                await stage.until_full(session, _POOL - 1)
                with contextlib.ExitStack() as stack:
                    killed = (
                        stack.enter_context(_storm(stage, login.boot_id)) if name == "storm" else []
                    )
                    before = _waited(on_the_way)
                    turns[name].taken += await _ask(client, seconds)
                    turns[name].waited += _waited(on_the_way) - before
                replaced += sum(killed)
        await client.logout()
    return turns, replaced


def _on_the_way(stage: Stage, used: str) -> list[int]:
    """Pids of the client, which is this process, of HAProxy with its workers, and of the user's server."""
    haproxy = stage.running.pids.haproxy
    workers = Path(f"/proc/{haproxy}/task/{haproxy}/children").read_text("ascii").split()
    server = [each.process.pid for each in servers(stage.layout) if each.boot_id == used]
    return [os.getpid(), haproxy, *map(int, workers), *server]


def _waited(pids: list[int]) -> float:
    """Milliseconds for which their threads were ready to run and did not (second field of `schedstat`)."""
    files = [file for pid in pids for file in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return sum(int(file.read_text("ascii").split()[1]) for file in files) / 1e6


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


@contextlib.contextmanager
def _storm(stage: Stage, used: str) -> Iterator[list[int]]:
    """It rages while the context lasts; afterwards the list says how many servers it killed each time."""
    (wrapper,) = stage.running.pids.wrappers.values()
    others = [each.process.pid for each in servers(stage.layout) if each.boot_id != used]
    children = Path(f"/proc/{wrapper}/task/{wrapper}/children").read_text("ascii").split()
    spared = [pid for pid in children if int(pid) not in others]
    killed: list[int] = []
    storm = subprocess.Popen(
        [sys.executable, "-m", "bench.micro.storm", str(wrapper), *spared],
        stdout=subprocess.PIPE,
        preexec_fn=dies_with_parent(),  # noqa: PLW1509  # one thread only
    )
    if storm.stdout is None:
        raise RuntimeError("a storm is heard of")
    storm.stdout.readline()
    try:
        yield killed
    finally:
        storm.kill()
        output, _ = storm.communicate()
        killed += map(int, output.split())
