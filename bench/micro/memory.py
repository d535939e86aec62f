"""Memory of a server that waits: its proportional set size (PSS), in which a page that n processes share counts 1/n."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
from msgspec import Struct

from bench.micro.stage import Scale, Stage, staged
from bench.processes import proportional_set_size, servers


class Memory(Struct, frozen=True, kw_only=True):
    pss_kib_per_standby: dict[str, float]
    """By launcher; `fork` includes each server's share of the template."""
    pool: int


def measure(scale: Scale) -> Memory:
    return Memory(
        pss_kib_per_standby={kind: _per_server(kind, scale.pool) for kind in ("fork", "spawn")},
        pool=scale.pool,
    )


def _per_server(kind: str, pool: int) -> float:
    with staged(["--pool-size", str(pool)], [], {"APP_WRAPPER_LAUNCHER": kind}) as stage:
        asyncio.run(_until_full(stage, pool))
        pids = {each.process.pid for each in servers(stage.layout)}
        return sum(map(proportional_set_size, pids | set(_templates(stage)))) / pool


async def _until_full(stage: Stage, pool: int) -> None:
    async with aiohttp.ClientSession() as session:
        await stage.until_full(session, pool)


def _templates(stage: Stage) -> Iterator[int]:
    """The processes from which servers are forked; servers themselves, which look the same, may be among them."""
    for wrapper in stage.running.pids.wrappers.values():
        children = Path(f"/proc/{wrapper}/task/{wrapper}/children").read_text("ascii")
        for pid in map(int, children.split()):
            if b"smartgrid_server.template" in Path(f"/proc/{pid}/cmdline").read_bytes():
                yield pid
