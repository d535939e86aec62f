"""What a server does with those who come at the wrong place, and how long answers may keep one that ends."""

import asyncio
import logging
import socket

import aiohttp
import pytest
from aiohttp import web

from attestation.issuer import ServerIssuer
from smartgrid_server.connections import MOST_REFUSALS, Connections
from smartgrid_server.tls import Blanks, ServerTls
from standby import deadlines
from standby.ids import Uid
from tests.support.certificates import Certificates


class Anybodys:
    """Lets every user in."""

    before_login = False

    async def bind(self, uid: Uid) -> None:
        """Nobody need be told."""


class Answering:
    """An application whose only answer comes when it may."""

    def __init__(self) -> None:
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()
        self.took = 0.0
        """Seconds until the server had ended."""
        self.app = web.Application()
        self.app.router.add_get("/", self._answer)

    async def _answer(self, _: web.Request) -> web.Response:
        self.asked.set()
        await self.may_answer.wait()
        return web.Response()


async def asked_while_it_ends(certificates: Certificates, server: Answering, after: float) -> None:
    """The answer may be sent `after` seconds after the end has begun; raises what the client saw."""
    loop = asyncio.get_running_loop()
    issuer = ServerIssuer.load(certificates.issuer_certificate, certificates.issuer_key)
    tls = ServerTls(issuer, Blanks.read(certificates.users_ca), lambda _uid: True)
    connector = aiohttp.TCPConnector(ssl=certificates.user_context("alice"))
    async with aiohttp.ClientSession(connector=connector) as client:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            url = f"https://127.0.0.1:{sock.getsockname()[1]}/"
            async with Connections(5, Anybodys()).serving(server.app, sock, tls.base, idle=5):
                asking = asyncio.create_task(client.get(url, server_hostname="alice"))
                async with asyncio.timeout(5):
                    await server.asked.wait()
                begun = loop.time()
                loop.call_later(after, server.may_answer.set)
            server.took = loop.time() - begun
        (await asking).release()


async def test_of_other_users_who_come_without_end_few_are_logged(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is answered. They would use up what the log of somebody else's server may be in its life."""
    caplog.set_level(logging.INFO)
    issuer = ServerIssuer.load(certificates.issuer_certificate, certificates.issuer_key)
    tls = ServerTls(issuer, Blanks.read(certificates.users_ca), lambda _uid: True)
    context = certificates.user_context("mallory")
    with socket.create_server(("127.0.0.1", 0)) as sock:
        host, port = sock.getsockname()
        app = web.Application()
        async with Connections(60, Anybodys()).serving(app, sock, tls.base, idle=5):
            for _ in range(2 * MOST_REFUSALS):
                reader, writer = await asyncio.open_connection(
                    host, port, ssl=context, server_hostname="alice"
                )
                writer.write(b"GET / HTTP/1.1\r\n\r\n")
                async with asyncio.timeout(60):
                    assert b"wrong_user" in await reader.read()
                writer.transport.abort()
    refused = [each for each in caplog.records if each.message == "request_refused"]
    assert len(refused) == MOST_REFUSALS


async def test_an_answer_that_does_not_come_keeps_the_server_no_longer_than_its_deadline(
    certificates: Certificates,
) -> None:
    server = Answering()
    with pytest.raises(aiohttp.ClientError):
        await asked_while_it_ends(certificates, server, after=60)
    assert server.took == pytest.approx(deadlines.SERVER_ANSWERS, rel=0.5)


async def test_an_answer_that_comes_late_but_in_time_is_sent(certificates: Certificates) -> None:
    after = deadlines.SERVER_ANSWERS * 0.75
    server = Answering()
    await asked_while_it_ends(certificates, server, after)
    assert server.took >= after
