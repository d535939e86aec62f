"""From the answer to LOGOUT to the slot's next server being READY, as the Routing Manager sees it.

The Routing Manager says for how long it has known a server as READY, so it need not be asked all the time, which would
take the processor from what is measured. What is left of an error is the time of one small answer.
"""

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
        variants = {kind: partial(one, stage, session) for kind, stage in stages.items()}
        return await in_turns(variants, rounds)


async def one(stage: Stage, session: aiohttp.ClientSession) -> float:
    """Milliseconds from the answer to LOGOUT to the next server being READY."""
    await stage.until_full(session, POOL)
    async with stage.client("anna", Role.METER) as client:
        await client.login(stage.access("anna", Role.METER).key())
        await stage.until_active(session)
        before = {each.boot_id for each in (await stage.state(session)).instances}
        await client.logout()
        began = time.perf_counter()
        await stage.until_full(session, POOL)
        state = await stage.state(session)
        taken = milliseconds_since(began)
        (fresh,) = (each for each in state.instances if each.boot_id not in before)
        return taken - 1000 * fresh.state_seconds
