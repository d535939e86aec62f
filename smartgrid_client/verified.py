"""Connections on which nothing but the challenge is sent until their server was admitted.

aiohttp opens a new connection whenever it needs one, also for a request that was meant for the open one: the server
may have closed it in the meantime. Behind a load balancer the new one may lead to any process. So it is not enough to
verify the first connection; each request has to be tied to the connection that was verified:

    before a connection is opened   only the challenge may open one: `may_open` of the request's tracing context
    before a request is sent        the connection that was found for it must be the admitted one

Either check raises `UnverifiedConnectionError`, and nothing of the request has been sent then. The first one saves the
handshake and a server's reservation; the second one alone would be enough.

A certificate belongs to a connection only if this handshake has shown it, so a resumed session is refused. None is
offered: asyncio passes no session to `wrap_bio`, and OpenSSL's clients do not reuse tickets by themselves.
"""

import asyncio
from dataclasses import dataclass

import aiohttp
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from smartgrid_client.errors import ServerNotTrustedError
from smartgrid_client.requests import ATTEST_PATH


class UnverifiedConnectionError(Exception):
    """A request needs a connection that was verified first; nothing of it was sent."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of one connection."""

    transport: asyncio.Transport
    certificate: bytes
    """In DER."""


class PeerConnector(aiohttp.TCPConnector):
    """Knows who is at the other end of the connection that a request was given."""

    peer: Peer | None = None
    """Of the last request; None: it has none yet."""

    def forget_peer(self) -> None:
        """The next request begins."""
        self.peer = None

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """A connection for this request, before anything of it is sent."""
        connection = await super().connect(req, traces, timeout)
        try:
            self._check(req, connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, _request: aiohttp.ClientRequest, connection: Connection) -> None:
        self.peer = _peer(connection.transport)


class VerifiedConnector(PeerConnector):
    """Finds connections for the challenge, and for every other request the admitted one or none."""

    _admitted: Peer | None = None

    def admit(self, peer: Peer) -> None:
        """From now on every request may go to this end of this connection, and to no other."""
        self._admitted = peer

    def _check(self, request: aiohttp.ClientRequest, connection: Connection) -> None:
        super()._check(request, connection)
        if request.url.path == ATTEST_PATH:
            return
        if self._admitted is None or connection.transport is not self._admitted.transport:
            raise UnverifiedConnectionError


def _peer(transport: asyncio.Transport | None) -> Peer:
    tls = None if transport is None else transport.get_extra_info("ssl_object")
    if transport is None or tls is None:
        raise aiohttp.ServerDisconnectedError
    certificate = tls.getpeercert(binary_form=True)
    if certificate is None or tls.session_reused:
        raise ServerNotTrustedError("the server showed no certificate on this connection")
    return Peer(transport, certificate)
