"""Strangers who send half a request header over many connections do not end a Routing Manager's service."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from routing_manager.settings import Settings
from standby import deadlines, tls
from standby.identity import Role
from tests.integration.routing_manager.test_process import event, running
from tests.support.certificates import Certificates
from tests.support.waiting import eventually

HALF = b"GET /v1/route/mallory HTTP/1.1\r\nHost: x\r\nX: "
MOST = 100
CROWD = 2000
FEW = 10
"""Descriptors that the process may have opened for itself."""


def _settings(certificates: Certificates) -> Settings:
    files = certificates.part(Role.ROUTING_MANAGER, "routing-manager")
    return Settings(
        port=0,
        control_port=0,
        settle=0.0,
        waiting_room=0.2,
        connections=MOST,
        tls_certificate=files.certificate,
        tls_key=files.key,
        tls_authorities=files.authorities,
    )


@contextlib.asynccontextmanager
async def _crowd(url: str, count: int, data: bytes) -> AsyncIterator[list[socket.socket]]:
    """That many connections, from one address after another, each with `data` sent."""
    host, port = url.rsplit("/", 1)[1].split(":")
    sockets: list[socket.socket] = []
    loop = asyncio.get_running_loop()
    try:
        for number in range(count):
            sock = socket.socket()
            sockets.append(sock)
            sock.bind((f"127.0.5.{1 + number % 100}", 0))
            sock.settimeout(0)
            await loop.sock_connect(sock, (host, int(port)))
            with contextlib.suppress(ConnectionError):
                await loop.sock_sendall(sock, data)
        yield sockets
    finally:
        for sock in sockets:
            sock.close()


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def _answers(url: str, context: ssl.SSLContext | bool = True) -> None:
    """A caller who comes now has answers, each over a connection of its own."""
    timeout = aiohttp.ClientTimeout(total=30)
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        async with session.get(f"{url}/healthz", ssl=context) as response:
            assert response.status == 200
        async with session.get(f"{url}/v1/route/alice", ssl=context) as response:
            body = await response.json()
            assert body["error"]["code"] == "no_capacity", body


async def test_a_crowd_that_sends_half_a_header_leaves_room_for_those_who_ask(
    certificates: Certificates,
) -> None:
    async with running(_settings(certificates)) as process:
        listening = await event(process, "listening")
        before = _descriptors(process.pid)
        async with _crowd(listening["url"], CROWD, HALF) as sockets:
            for _ in range(5):
                await _answers(listening["url"])
            assert len(sockets) == CROWD
            assert _descriptors(process.pid) < before + 2 * MOST
            await eventually(
                lambda: _descriptors(process.pid) <= before + FEW,
                "those who never send a whole header are closed",
                deadline=6 * deadlines.HTTP_FIRST,
            )


async def test_a_crowd_that_never_ends_its_handshake_leaves_room_for_those_who_ask(
    certificates: Certificates,
) -> None:
    context = tls.client_context(certificates.part(Role.WRAPPER, "w"))
    async with running(_settings(certificates)) as process:
        listening = await event(process, "listening")
        before = _descriptors(process.pid)
        async with _crowd(listening["control_url"], CROWD, b"\x16\x03\x01"):
            for _ in range(5):
                await _answers(listening["control_url"], context)
            assert _descriptors(process.pid) < before + 2 * MOST
            await eventually(
                lambda: _descriptors(process.pid) <= before + FEW,
                "those who never end their handshake are closed",
                deadline=6 * deadlines.HTTP_FIRST,
            )


async def test_a_connection_with_requests_stays_when_a_crowd_comes(
    certificates: Certificates,
) -> None:
    async with running(_settings(certificates)) as process:
        listening = await event(process, "listening")
        host, port = listening["url"].rsplit("/", 1)[1].split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        ask = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        async with asyncio.timeout(60):
            writer.write(ask)
            assert b" 200 " in await reader.readuntil(b"ok\n")
            async with _crowd(listening["url"], CROWD, HALF):
                writer.write(ask)
                assert b" 200 " in await reader.readuntil(b"ok\n")
        writer.close()
