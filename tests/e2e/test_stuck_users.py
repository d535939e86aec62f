"""Nobody is kept from logging in for long: not by strangers, not by a server that hangs."""

import asyncio
import contextlib
import itertools
import os
import signal
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from smartgrid_client.session import Session
from standby.deadlines import WAITING_ROOM
from standby.tls import client_context
from tests.support.balancer import client_hello
from tests.support.platform import RunningPlatform, User, platform
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(600)
_DEADLINE = 60.0
"""Seconds; strangers and servers share the processors. How long it takes is measured by `python -m bench.flood`."""


async def _stranger(port: int, name: str, source: str) -> None:
    """Sends a hello and holds the connection as long as it may."""
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
        try:
            writer.write(client_hello(name))
            while await reader.read(1 << 16):
                pass
        finally:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def _flood(port: int, sources: list[str], per_second: float) -> AsyncIterator[None]:
    """Connections that ask for made-up names, from every source in turn, while the context lasts."""
    strangers: list[asyncio.Task[None]] = []

    async def come() -> None:
        for number in itertools.count():
            name, source = f"made-up-{number}", sources[number % len(sources)]
            strangers.append(asyncio.create_task(_stranger(port, name, source)))
            await asyncio.sleep(1 / per_second)

    coming = asyncio.create_task(come())
    try:
        yield
    finally:
        for task in (coming, *strangers):
            task.cancel()
        await asyncio.gather(coming, *strangers, return_exceptions=True)


async def _all_held(running: RunningPlatform) -> bool:
    status = await asyncio.to_thread(running.status)
    return bool(status["counts"]["READY"] == 0 and status["waiting"])


async def _log_in_and_out(running: RunningPlatform, user: User) -> None:
    session = Session(running.client(user), user.key, lambda _attempt: None, stop=asyncio.Event())
    async with session:
        pass


@pytest.mark.parametrize(
    ("sources", "per_second"),
    [(["127.0.0.1"], 8), ([f"127.0.1.{number}" for number in range(1, 251)], 200)],
    ids=["a few from the user's own address", "from many addresses"],
)
async def test_a_flood_of_made_up_names_does_not_stop_a_real_user(
    tmp_path: Path, sources: list[str], per_second: float
) -> None:
    with platform(tmp_path, "--pool-size", "2") as running:
        user = await asyncio.to_thread(running.enroll, "anna")
        async with _flood(running.port, sources, per_second):
            await eventually(
                lambda: _all_held(running), "strangers hold all servers", deadline=_DEADLINE
            )
            for _ in range(2):
                async with asyncio.timeout(_DEADLINE):
                    await _log_in_and_out(running, user)


async def test_the_user_of_a_server_that_hangs_is_served_by_another_one(tmp_path: Path) -> None:
    quick = {"APP_WRAPPER_PROBE_INTERVAL": "0.5", "APP_WRAPPER_PROBE_ANSWER": "2"}
    with platform(tmp_path, "--pool-size", "2", environ=quick) as running:
        user = await asyncio.to_thread(running.enroll, "anna")
        before = {each["boot_id"] for each in running.status()["instances"]}
        first = running.client(user)
        hung = await first.login(user.key)
        pid = running.servers("w1")[hung.boot_id]
        os.kill(pid, signal.SIGSTOP)
        try:
            second = running.client(user)
            await eventually(lambda: not _runs(pid), "the server was ended", deadline=30)
            again = await second.login(user.key)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
            await first.close()
        assert again.boot_id != hung.boot_id
        assert again.generation > hung.generation
        healthy = before - {hung.boot_id}
        assert healthy <= {each["boot_id"] for each in running.status()["instances"]}
        await second.logout()
        await second.close()


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_a_full_pool_and_a_full_waiting_room_end_in_an_alert_and_nobody_else_is_touched(
    tmp_path: Path,
) -> None:
    small = {"ROUTING_MANAGER_WAITING_PLACES": "1", "ROUTING_MANAGER_WAITING_ROOM": "15"}
    with platform(tmp_path, "--pool-size", "1", environ=small) as running:
        anna, bert, carla = await asyncio.to_thread(running.enroll_many, ["anna", "bert", "carla"])
        session = running.client(anna)
        await session.login(anna.key)
        waiting = asyncio.create_task(_refusal(running, bert))
        await eventually(lambda: _waits(running), "bert waits")
        assert "alert internal error" in (await _refusal(running, carla)).lower()
        again = running.client(anna)
        await again.login(anna.key)  # a user with a session does not stand in that queue
        assert not waiting.done()
        assert "alert internal error" in (await waiting).lower()
        for client in (again, session):
            await client.logout()
            await client.close()
        async with asyncio.timeout(WAITING_ROOM):
            await _log_in_and_out(running, carla)


async def _waits(running: RunningPlatform) -> bool:
    return bool((await asyncio.to_thread(running.status))["waiting"])


async def _refusal(running: RunningPlatform, user: User) -> str:
    """What a TLS client of that user is told; one connection, no retries."""
    context = client_context(user.tls)
    with pytest.raises(ssl.SSLError) as refused:
        await asyncio.open_connection(
            "127.0.0.1", running.port, ssl=context, server_hostname=user.uid
        )
    return str(refused.value)
