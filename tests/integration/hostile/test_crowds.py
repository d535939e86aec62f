"""A thousand connections that do nothing: those who mean it are served, and the idle ones leave."""

import asyncio
import contextlib
import os
import resource
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from standby.processes import reserve_port
from tests.support.balancer import balancer
from tests.support.certificates import Certificates
from tests.support.echo_server import client_context, echo_server
from tests.support.smartgrid import Client, new_volume, running, volumes
from tests.support.stub_manager import route, stub_manager

_CROWD = 1000
_BOUND = 64 * 2**20
"""Bytes that a process may grow by while a crowd is there; a connection costs it tens of kilobytes."""


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """Both ends of the crowd's connections may be this process's, or its children's."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 10_000)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def resident(pid: int) -> int:
    """Bytes of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextlib.asynccontextmanager
async def crowd(port: int) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Connections that say nothing, while the context lasts; a task is done when its connection was closed."""
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(_CROWD)]
    ends = [asyncio.create_task(_end_of(reader)) for reader, _ in connections]
    try:
        yield ends
    finally:
        for (_, writer), end in zip(connections, ends, strict=True):
            writer.transport.abort()
            end.cancel()
        await asyncio.gather(*ends, return_exceptions=True)


async def _end_of(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        await reader.read()


async def _all_ended(ends: list[asyncio.Task[None]]) -> None:
    async with asyncio.timeout(20):
        await asyncio.gather(*ends)


async def test_a_server_serves_its_user_among_a_thousand_idle_connections_and_closes_them(
    certificates: Certificates, tmp_path: Path
) -> None:
    answers = volumes(alice=new_volume(tmp_path, "alice"))
    async with running(certificates, answers, login_deadline=3) as server:
        before = resident(server.process.pid)
        async with crowd(server.port) as ends, Client(certificates, server) as alice:
            assert (await alice.login()).status == 200
            assert (await alice.get("alarms")).status == 200
            assert resident(server.process.pid) - before < _BOUND
            await _all_ended(ends)
            assert (await alice.get("alarms")).status == 200
            assert (await alice.logout()).body["ended"] is True


async def test_a_load_balancer_serves_users_among_a_thousand_idle_connections_and_closes_them(
    certificates: Certificates, tmp_path: Path
) -> None:
    context = client_context(certificates)
    with reserve_port() as reserved:
        port = reserved.getsockname()[1]
        async with stub_manager(port) as manager, echo_server(certificates) as server:
            manager.answers["alice"] = route(server.port)
            with balancer(
                tmp_path / "lb",
                routing_manager_port=port,
                client_hello=2.0,
                max_connections=2_500,
                unrouted_connections=2_000,
            ) as lb:
                before = resident(lb.process.pid)
                async with crowd(lb.settings.port) as ends:
                    for _ in range(5):
                        assert await lb.say("alice", context, "hello") == "a:hello"
                    assert resident(lb.process.pid) - before < _BOUND
                    await _all_ended(ends)
                    assert await lb.say("alice", context, "hello") == "a:hello"
