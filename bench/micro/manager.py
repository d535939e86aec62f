"""One Routing Manager process: routes per second, what a route costs it, and its memory, with few and many users known.

Every instance is ACTIVE and serves a user, and every question is for one of these users. The load comes from this
process over a few kept connections, with bytes prepared beforehand and answers only counted, because both share the
machine. The cost of a route is processor time of the Routing Manager, which a busy machine does not change.
"""

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from msgspec import Struct

from bench.manager import manager
from bench.micro.stage import Scale, in_turns
from bench.spread import Spread, ratio, spread
from standby.ids import BootId, Epoch, Generation, Slot, Uid
from standby.messages import InstanceReport, Report
from standby.states import State

SMALL: Final = 50
_OF_A_WRAPPER: Final = 1250
_CONNECTIONS: Final = 16
_BATCH: Final = 4000
"""Questions of one turn, at least."""


class Manager(Struct, frozen=True, kw_only=True):
    instances: int
    routes_per_second: Spread
    """With all of them known."""
    route_cost_us: dict[str, Spread]
    """Microseconds of processor time for one route, by how many instances are known."""
    route_cost_ratio: float
    """Median with many ÷ median with few."""
    routing_manager_rss_mib: float


@dataclass(frozen=True)
class Subject:
    """A running Routing Manager that knows `users`."""

    pid: int
    port: int
    users: list[Uid]

    def processor_seconds(self) -> float:
        """Used so far by its main thread, which does all the work."""
        return int(Path(f"/proc/{self.pid}/schedstat").read_text("ascii").split()[0]) / 1e9

    def resident_mib(self) -> float:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class _Asker(asyncio.Protocol):
    """Sends prepared questions over one connection, each after the answer to the last."""

    def __init__(self, questions: list[bytes]) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._questions = iter(questions)
        self._transport: asyncio.Transport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # TCP has a full transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._buffer.endswith(b"}"):
            if not self._buffer.startswith(b"HTTP/1.1 200 "):
                self.done.set_exception(RuntimeError(f"not a route: {self._buffer[:300]!r}"))
                return
            self._buffer = b""
            self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the Routing Manager hung up"))

    def _next(self) -> None:
        question = next(self._questions, None)
        if question is not None and self._transport is not None:
            self._transport.write(question)
        elif self._transport is not None:
            self.done.set_result(None)
            self._transport.close()


def measure(scale: Scale) -> Manager:
    return asyncio.run(_measure(scale))


async def _measure(scale: Scale) -> Manager:
    speeds: list[float] = []
    async with _knowing(SMALL) as small, _knowing(scale.instances) as large:
        costs = await in_turns(
            {"few": partial(_turn, small, []), "many": partial(_turn, large, speeds)},
            max(4, scale.rounds // 4),
            warm_up=1,
        )
        memory = large.resident_mib()
    few, many = spread(costs["few"]), spread(costs["many"])
    return Manager(
        instances=scale.instances,
        routes_per_second=spread(speeds[1:]),
        route_cost_us={"few": few, "many": many},
        route_cost_ratio=ratio(many.p50, few.p50),
        routing_manager_rss_mib=memory,
    )


async def _turn(subject: Subject, speeds: list[float]) -> float:
    """Microseconds of its processor time for one route; its routes per second are added to `speeds`."""
    loop = asyncio.get_running_loop()
    users = random.choices(subject.users, k=_BATCH)  # noqa: S311  # any users will do
    questions = [_question(uid) for uid in users]
    used, began = subject.processor_seconds(), time.perf_counter()
    askers = []
    for number in range(_CONNECTIONS):
        share = questions[number::_CONNECTIONS]
        _, asker = await loop.create_connection(partial(_Asker, share), "127.0.0.1", subject.port)
        askers.append(asker.done)
    await asyncio.gather(*askers)
    speeds.append(_BATCH / (time.perf_counter() - began))
    return (subject.processor_seconds() - used) / _BATCH * 1e6


def _question(uid: Uid) -> bytes:
    return f"GET /v1/route/{uid}?source=127.0.0.1 HTTP/1.1\r\nHost: x\r\n\r\n".encode()


@contextlib.asynccontextmanager
async def _knowing(instances: int) -> AsyncIterator[Subject]:
    """A Routing Manager that has been told of that many instances, while the context lasts."""
    users = [Uid(f"user-{n}") for n in range(instances)]
    reports = {
        f"wrapper-{number}": _report(mine)
        for number, mine in enumerate(
            users[first : first + _OF_A_WRAPPER] for first in range(0, instances, _OF_A_WRAPPER)
        )
    }
    with manager() as running:
        await running.tell(reports)
        yield Subject(running.pid, running.port, users)


def _report(users: list[Uid]) -> Report:
    return Report(
        epoch=Epoch(1),
        sequence=1,
        full=True,
        capacity=len(users),
        instances=[
            InstanceReport(
                slot=Slot(slot),
                boot_id=BootId(f"{hash(uid) & (1 << 64) - 1:016x}"),
                address="10.0.0.1",
                port=1 + slot,
                state=State.ACTIVE,
                uid=uid,
                generation=Generation(1),
            )
            for slot, uid in enumerate(users)
        ],
    )
