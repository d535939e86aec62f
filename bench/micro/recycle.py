"""From the answer to LOGOUT to the slot's next server being READY, as the Routing Manager sees it."""

import asyncio
import contextlib
import time
from functools import partial

import aiohttp
from msgspec import Struct

from bench.micro.stage import Scale, Stage, in_turns, milliseconds_since, staged
from bench.spread import Spread, spread
from standby.identity import Role

POOL = 4
_UIDS = ("anna", "bert")


class Recycle(Struct, frozen=True, kw_only=True):
    recycle_ms: dict[str, Spread]
    """By launcher."""


def measure(scale: Scale) -> Recycle:
    with contextlib.ExitStack() as stack:
        stages = {
            kind: stack.enter_context(
                staged(["--pool-size", str(POOL)], _UIDS, {"APP_WRAPPER_LAUNCHER": kind})
            )
            for kind in ("fork", "spawn")
        }
        taken = asyncio.run(_all(stages, scale.rounds))
    return Recycle(recycle_ms={kind: spread(values) for kind, values in taken.items()})


async def _all(stages: dict[str, Stage], rounds: int) -> dict[str, list[float]]:
    async with aiohttp.ClientSession() as session:
        variants = {kind: partial(_one, stage, session) for kind, stage in stages.items()}
        return await in_turns(variants, rounds)


async def _one(stage: Stage, session: aiohttp.ClientSession) -> float:
    await stage.until_full(session, POOL)
    async with stage.client("anna", Role.METER) as client:
        used = await client.login(stage.access("anna", Role.METER).key())
        while (await stage.state(session)).counts.ACTIVE == 0:
            pass  # the report of the LOGIN is on its way
        await client.logout()
        began = time.perf_counter()
        while True:
            state = await stage.state(session)
            fresh = all(each.boot_id != used.boot_id for each in state.instances)
            if fresh and state.counts.READY == POOL:
                return milliseconds_since(began)
