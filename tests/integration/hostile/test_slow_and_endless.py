"""Requests that come slowly, never end, or are no requests: each ends by itself, and nobody else notices."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from standby.identity import Role
from tests.integration.hostile.test_crowds import resident
from tests.support.certificates import Certificates
from tests.support.smartgrid import Client, Server, new_volume, running, volumes
from tests.support.wrapper import settings
from tests.support.wrapper_process import started

_MOST = 16 * 2**20
"""Bytes that are sent at most where there is no end."""
_PIECE = b"x" * 65536
_BOUND = 48 * 2**20

Open = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@dataclass(frozen=True)
class Endless:
    """What is sent first, and then again and again."""

    first: bytes
    again: bytes


ENDLESS = {
    "a request line": Endless(b"GET /v1/", _PIECE),
    "a header": Endless(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ", _PIECE),
    "many headers": Endless(b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"X: y\r\n" * 8192),
    "a body": Endless(
        b"POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n", _PIECE
    ),
    "chunks": Endless(
        b"POST /v1/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"10000\r\n" + _PIECE + b"\r\n",
    ),
    "noise": Endless(os.urandom(1000), os.urandom(65536)),
}


async def outcome(open_connection: Open, endless: Endless) -> tuple[bytes, int]:
    """The first line of what is answered, empty if the connection is just closed; and how much could be sent."""
    reader, writer = await open_connection()
    sent = 0
    try:
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionError):
                writer.write(endless.first)
                while sent < _MOST and not reader.at_eof():
                    writer.write(endless.again)
                    await writer.drain()
                    sent += len(endless.again)
            with contextlib.suppress(ConnectionError):
                return await reader.readline(), sent
            return b"", sent
    finally:
        writer.transport.abort()


@pytest.fixture
async def server(certificates: Certificates, tmp_path: Path) -> AsyncIterator[Server]:
    answers = volumes(alice=new_volume(tmp_path, "alice"))
    async with running(certificates, answers, login_deadline=4) as running_server:
        yield running_server


@pytest.mark.parametrize("what", ENDLESS)
async def test_what_never_ends_is_ended_by_the_server(
    server: Server, certificates: Certificates, what: str
) -> None:
    context = certificates.user_context("alice", Role.CUSTOMER)

    async def stranger() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(
            "127.0.0.1", server.port, ssl=context, server_hostname="alice"
        )

    before = resident(server.process.pid)
    async with Client(certificates, server) as alice:
        answer, (status, _) = await asyncio.gather(outcome(stranger, ENDLESS[what]), _login(alice))
        assert status == 200
        line, _ = answer
        assert not line or line.split()[1] in {b"400", b"413", b"431"}, line
        assert (await alice.get("alarms")).status == 200
    assert resident(server.process.pid) - before < _BOUND
    assert server.process.returncode is None


async def _login(client: Client) -> tuple[int, object]:
    reply = await client.login()
    return reply.status, reply.body


async def test_a_header_that_drips_is_cut_off_by_the_deadline_for_a_login(
    server: Server, certificates: Certificates
) -> None:
    context = certificates.user_context("alice", Role.CUSTOMER)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", server.port, ssl=context, server_hostname="alice"
    )
    writer.write(b"POST /v1/login HTTP/1.1\r\n")

    async def drip() -> None:
        while True:
            writer.write(b"X: y\r\n")
            await writer.drain()
            await asyncio.sleep(0.1)

    dripping = asyncio.create_task(drip())
    try:
        async with asyncio.timeout(20):
            with contextlib.suppress(ConnectionError):
                await reader.read()
    finally:
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
        writer.transport.abort()
    assert await server.ends() == 0
    assert server.said == ["WAITING_LOGIN", "LOGOUT no_login"], "it is of no use to others"


@pytest.mark.parametrize("what", ENDLESS)
async def test_what_never_ends_is_ended_by_a_wrappers_listener(tmp_path: Path, what: str) -> None:
    async with started(settings(tmp_path, pool_size=0)) as wrapper:
        port = int(wrapper.url.rpartition(":")[2])
        before = resident(wrapper.child.pid)
        line, _ = await outcome(lambda: asyncio.open_connection("127.0.0.1", port), ENDLESS[what])
        assert not line or line.split()[1][:1] == b"4", line
        async with aiohttp.ClientSession() as session, session.get(f"{wrapper.url}/healthz") as ok:
            assert ok.status == 200
        assert resident(wrapper.child.pid) - before < _BOUND
