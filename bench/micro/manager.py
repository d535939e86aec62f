"""One Routing Manager process: routes per second, what a route costs it, and its memory, with few and many users known.

Every instance is ACTIVE and serves a user, and every question is for one of these users. The load comes from this
process over a few kept connections, with bytes prepared beforehand and answers only counted, because both share the
machine. The cost of a route is processor time of the Routing Manager, which a busy machine does not change.
"""

import asyncio
import contextlib
import os
import random
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp
import msgspec
from msgspec import Struct

import routing_manager.settings
from bench.micro.part import part
from bench.micro.stage import Scale, in_turns
from bench.spread import Spread, ratio, spread
from standby.identity import Role
from standby.ids import BootId, Epoch, Generation, Slot, Uid
from standby.messages import InstanceReport, PlatformState, Report
from standby.processes import reserve_port
from standby.states import State
from standby.tls import client_context
from standby_cli.authorities import Authorities

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
    with (
        tempfile.TemporaryDirectory(prefix="bench-rm-") as scratch,
        reserve_port() as plain,
        reserve_port() as control,
    ):
        authorities = Authorities(Path(scratch))
        authorities.make()
        files = authorities.part(Role.ROUTING_MANAGER, "main")
        settings = routing_manager.settings.Settings(
            port=plain.getsockname()[1],
            control_port=control.getsockname()[1],
            tls_certificate=files.certificate,
            tls_key=files.key,
            tls_authorities=files.authorities,
            settle=0.0,
            wrapper_lost=3600.0,  # they report once
        )
        with part("routing_manager", settings, routing_manager.settings.PREFIX) as pid:
            users = await _tell(settings, authorities, instances)
            yield Subject(pid, settings.port, users)


async def _tell(
    settings: routing_manager.settings.Settings, authorities: Authorities, instances: int
) -> list[Uid]:
    """Report the instances, as wrappers of a bounded size do; returns their users."""
    users: list[Uid] = []
    plain = f"http://127.0.0.1:{settings.port}"
    async with aiohttp.ClientSession() as session:
        await _until_up(session, plain)
        for number in range(-(-instances // _OF_A_WRAPPER)):
            name = f"wrapper-{number}"
            mine = [
                Uid(f"user-{n}")
                for n in range(len(users), min(instances, len(users) + _OF_A_WRAPPER))
            ]
            users += mine
            await session.post(
                f"https://127.0.0.1:{settings.control_port}/v1/wrappers/{name}/report",
                data=msgspec.json.encode(_report(mine)),
                ssl=client_context(authorities.part(Role.WRAPPER, name)),
                raise_for_status=True,
            )
        async with session.get(f"{plain}/v1/state") as response:
            known = msgspec.json.decode(await response.read(), type=PlatformState).counts.ACTIVE
    if known != instances:
        raise RuntimeError(f"{known} of {instances} instances are known")
    return users


async def _until_up(session: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{url}/readyz") as response:
                    if response.ok:
                        return
            await asyncio.sleep(0.02)


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
