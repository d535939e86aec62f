"""The connections of one listener: a bounded number, so that no stranger can spend the process's descriptors.

A listener that has as many connections as it may closes one for each new one: the oldest that has not brought a whole
request header yet, else the one that has been without a request for longest. A connection with a request under way
is never closed for another; if all have one, the new connection is closed. So a connection that says nothing is the
first to go, and a caller that asks at once is served. The first header has a short deadline of its own, which includes
the TLS handshake.

Not promised: that a caller is served while others keep the listener full of requests under way.

Rejected: `loop.create_server`, which accepts as many connections at once as its backlog has places, and gives no
hold on one whose TLS handshake has not ended. So sockets are accepted here, one at a time, and are ended by `shutdown`,
which works in every state and leaves the closing to the transport that owns the descriptor.
"""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

from aiohttp.web_protocol import RequestHandler

from standby import deadlines
from standby.backlog import BACKLOG
from standby.logs import EventLog
from standby.sampling import Sampler

MOST: Final = 256
"""Connections of one listener unless told otherwise: far below the 1,024 descriptors that a process has at least."""
log = EventLog(__name__)

_Sockets = dict[RequestHandler, socket.socket]


class Connections:
    """At most `most` connections of one listening socket, by how much their peers have said."""

    def __init__(self, most: int, first_request: float) -> None:
        self._most = most
        self._first_request = first_request
        # each with the longest in its state first
        self._unheard: _Sockets = {}
        self._quiet: _Sockets = {}
        self._asking: _Sockets = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweep_at = 0
        self._sampler = Sampler()

    @contextlib.asynccontextmanager
    async def accepting(
        self,
        listener: socket.socket,
        make: Callable[[], RequestHandler],
        tls: ssl.SSLContext | None,
    ) -> AsyncIterator[None]:
        """Accept connections while the context lasts; those that are open at its end stay."""
        listener.settimeout(0)
        listener.listen(BACKLOG)
        accepting = asyncio.create_task(self._accept(listener, make, tls), name="accepting")
        try:
            yield
        finally:
            tasks = {accepting, *self._tasks}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            listener.close()

    @contextlib.contextmanager
    def asking(self, protocol: RequestHandler) -> Iterator[None]:
        """A request of this connection is under way while the context lasts; nothing, if it is not one of these."""
        sock = self._unheard.pop(protocol, None) or self._quiet.pop(protocol, None)
        if sock is None:
            yield
            return
        self._asking[protocol] = sock
        try:
            yield
        finally:
            if self._asking.pop(protocol, None):
                self._quiet[protocol] = sock

    async def _accept(
        self,
        listener: socket.socket,
        make: Callable[[], RequestHandler],
        tls: ssl.SSLContext | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(listener)
            except ConnectionError:
                continue  # it has left already
            except OSError as error:
                unwritten = self._sampler.admit("not accepted", time.monotonic())
                if unwritten is not None:
                    log.warning("connection_not_accepted", error=error, unwritten=unwritten)
                self._end_one()
                await asyncio.sleep(deadlines.ACCEPT_AGAIN)
                continue
            if not self._has_room():
                sock.close()
            else:
                task = asyncio.create_task(self._connect(sock, make(), tls))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(0)  # a crowd of new connections does not stop the others' requests

    async def _connect(
        self, sock: socket.socket, protocol: RequestHandler, tls: ssl.SSLContext | None
    ) -> None:
        loop = asyncio.get_running_loop()
        self._unheard[protocol] = sock
        loop.call_later(self._first_request, self._end_unheard, protocol)
        with contextlib.suppress(OSError):  # a handshake that failed, a peer that has left
            await loop.connect_accepted_socket(
                lambda: protocol,
                sock,
                ssl=tls,
                ssl_handshake_timeout=self._first_request if tls else None,
            )

    def _end_unheard(self, protocol: RequestHandler) -> None:
        sock = self._unheard.pop(protocol, None)
        if sock is not None:
            _end(sock)

    def _has_room(self) -> bool:
        if self._count() >= self._sweep_at:
            self._forget_closed()
        if self._count() < self._most:
            return True
        unwritten = self._sampler.admit("full", time.monotonic())
        if unwritten is not None:
            log.warning(
                "connections_full", most=self._most, asking=len(self._asking), unwritten=unwritten
            )
        return self._end_one()

    def _forget_closed(self) -> None:
        """Each time that the number has doubled, so that it costs little and few are remembered in vain."""
        for group in (self._unheard, self._quiet, self._asking):
            for protocol in [each for each, sock in group.items() if sock.fileno() < 0]:
                del group[protocol]
        self._sweep_at = min(self._most, 2 * self._count() + 16)

    def _count(self) -> int:
        return len(self._unheard) + len(self._quiet) + len(self._asking)

    def _end_one(self) -> bool:
        """Whether a connection could be ended to make room for another."""
        group = self._unheard or self._quiet
        if not group:
            return False
        _end(group.pop(next(iter(group))))
        return True


def _end(sock: socket.socket) -> None:
    """The transport sees the end of the stream and closes the descriptor."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
