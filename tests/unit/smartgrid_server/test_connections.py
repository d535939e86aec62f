"""How long answers under way may keep a server that ends."""

import asyncio
import socket

import aiohttp
import pytest
from aiohttp import web

from attestation.issuer import ServerIssuer
from smartgrid_server.connections import Connections
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
