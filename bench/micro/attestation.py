"""What attestation costs: a server's start, LOGIN, and the other operations, each with it and without.

A start is measured as recycling: from the answer to LOGOUT to the next server being READY, as seen by the Routing
Manager. The same user, requests and launchers; platforms with `--attestation soft-dcap` and `off` take turns. LOGIN is
on a new connection, so it includes the client's challenge and its verification of the answer.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

import aiohttp
from msgspec import Struct

from bench.micro import recycle
from bench.micro.stage import Scale, Stage, in_turns, milliseconds_since, staged
from bench.spread import Spread, difference, ratio, spread
from smartgrid_client.api import SmartGridClient
from smartgrid_client.batches import Batch
from smartgrid_client.messages import Alarm, Metric
from smartgrid_client.readings import Reading
from standby.identity import Role

_KINDS: Final = {"attested": "soft-dcap", "not": "off"}
_LAUNCHERS: Final = ("fork", "spawn")
_UID: Final = "anna"
_ROWS: Final = 240
"""One hour of 15-second readings."""


class Attestation(Struct, frozen=True, kw_only=True):
    attestation_start_ms: dict[str, dict[str, Spread]]
    """From LOGOUT to READY, by launcher, attested and not."""
    attestation_per_start_ms: dict[str, float]
    """Medians' difference, by launcher."""
    attestation_operation_ms: dict[str, dict[str, Spread]]
    """By operation, attested and not."""
    attestation_ratio: dict[str, float]
    """Medians, attested ÷ not, by operation."""


def measure(scale: Scale) -> Attestation:
    starts = {launcher: _starts(launcher, scale) for launcher in _LAUNCHERS}
    operations = _operations(scale)
    return Attestation(
        attestation_start_ms=starts,
        attestation_per_start_ms={
            launcher: difference(taken["attested"].p50, taken["not"].p50)
            for launcher, taken in starts.items()
        },
        attestation_operation_ms=operations,
        attestation_ratio={
            name: ratio(taken["attested"].p50, taken["not"].p50)
            for name, taken in operations.items()
        },
    )


def _stages(stack: contextlib.ExitStack, launcher: str) -> dict[str, Stage]:
    return {
        name: stack.enter_context(
            staged(
                ["--pool-size", str(recycle.POOL), "--attestation", kind],
                [_UID],
                {"APP_WRAPPER_LAUNCHER": launcher},
            )
        )
        for name, kind in _KINDS.items()
    }


def _starts(launcher: str, scale: Scale) -> dict[str, Spread]:
    async def main(stages: Mapping[str, Stage]) -> dict[str, list[float]]:
        async with aiohttp.ClientSession() as session:
            variants = {
                name: partial(recycle.one, stage, session) for name, stage in stages.items()
            }
            return await in_turns(variants, scale.rounds)

    with contextlib.ExitStack() as stack:
        taken = asyncio.run(main(_stages(stack, launcher)))
    return {name: spread(values) for name, values in taken.items()}


def _operations(scale: Scale) -> dict[str, dict[str, Spread]]:
    with contextlib.ExitStack() as stack:
        return asyncio.run(_all_operations(_stages(stack, "fork"), scale.rounds * 2))


async def _all_operations(stages: Mapping[str, Stage], rounds: int) -> dict[str, dict[str, Spread]]:
    batches = itertools.count(1)
    found: dict[str, dict[str, list[float]]] = {}

    async def one(name: str, stage: Stage, session: aiohttp.ClientSession) -> float:
        await stage.until_full(session, recycle.POOL)
        for operation, taken in (await _session(stage, next(batches))).items():
            found.setdefault(operation, {}).setdefault(name, []).append(taken)
        return 0.0

    async with aiohttp.ClientSession() as session:
        variants = {name: partial(one, name, stage, session) for name, stage in stages.items()}
        await in_turns(variants, rounds)
    return {
        operation: {name: spread(values[2:]) for name, values in taken.items()}
        for operation, taken in found.items()
    }


async def _session(stage: Stage, number: int) -> dict[str, float]:
    """Milliseconds of each operation of one meter's and one customer's session."""
    first = 1_600_000_000 + 15 * _ROWS * number
    batch = Batch(tuple(Reading(first + 15 * n, 230.0, 0.5, 231.0) for n in range(_ROWS)))
    async with stage.client(_UID, Role.METER) as meter, stage.client(_UID) as customer:
        taken = {"login": await _timed(partial(_login, meter, stage))}
        await _login(customer, stage)
        taken["long_write"] = await _timed(partial(meter.long_write, batch))
        taken["write"] = await _timed(partial(customer.write, [Alarm(Metric.POWER, 250.0)]))
        taken["query_avg"] = await _timed(partial(customer.query_avg, Metric.POWER))
        await customer.logout()
        taken["logout"] = await _timed(meter.logout)
    return taken


async def _login(client: SmartGridClient, stage: Stage) -> None:
    await client.login(stage.access(_UID).key())


async def _timed(call: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await call()
    return milliseconds_since(began)
