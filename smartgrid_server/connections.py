"""The listener, who is let through to the HTTP library, and the end of connections that do not log in.

Not a byte of a request is read before the process is bound to the user of the client's certificate, and its wrapper
knows it (`Door`). So a flaw in what reads requests is of no use against another user: the process reads one user's
requests in its life, and the wrapper takes no other user's LOGIN from it. What other users reach of a process is the
TLS handshake. A client whose certificate is not that of the user asked for (SNI) is answered without having been read.

A routing promise is short, so a connection that has not logged in by the deadline is closed; a client that comes later
is routed anew. Connections of the process's own user stay, quiet or not, as long as his session may. Until LOGIN a
connection may bring few bytes (`door`) and few requests, for a few small endpoints (`handlers`).

aiohttp has no hook for this in its sites, so the listening socket is opened here, with aiohttp's protocol behind it.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Protocol

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from smartgrid_server.door import Door
from smartgrid_server.errors import TooManyRequestsError
from standby import deadlines, http_log
from standby.backlog import BACKLOG
from standby.ids import Uid
from standby.sampling import Sampler

MOST_REFUSALS: Final = 10
"""Of each code that are logged in a minute. Every customer can be refused here, in another user's server, whose log has
an allowance for its life."""
MOST_REQUESTS: Final = 8
"""Of one connection before LOGIN; a client needs two or three."""
_LINE: Final = 2048
"""Bytes of a request line, or of one header; clients need 200 and 80."""
_HEADERS: Final = 32
"""Of a request; clients send ten."""
_HALF: Final = 2
"""aiohttp waits for a request's answer as long as it is told, then as long again, before it cancels the work on it."""
_CLOSE_NOTIFY: Final = 1.0
"""Seconds for a client to answer the end of TLS before its connection is dropped."""


class Host(Protocol):
    """Who decides about clients (`Entry`)."""

    async def bind(self, uid: Uid) -> None: ...
    @property
    def before_login(self) -> bool: ...


@dataclass(slots=True)
class _Stranger:
    """A connection that has not logged in."""

    timer: asyncio.TimerHandle
    requests: int = 0


class Connections:
    """Connections of one listener; those that are not let in leave after `deadline` seconds."""

    def __init__(self, deadline: float, host: Host) -> None:
        self._deadline = deadline
        self._host = host
        self._strangers: dict[RequestHandler, _Stranger] = {}
        self._refusals = Sampler(MOST_REFUSALS)
        self._listener: asyncio.Server | None = None

    @contextlib.asynccontextmanager
    async def serving(
        self, app: web.Application, sock: socket.socket, tls: ssl.SSLContext, idle: float
    ) -> AsyncIterator[None]:
        """Serve `app` on the socket while the context lasts, then let answers under way be sent.

        Connections without requests are kept for `idle` seconds.
        """
        runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            keepalive_timeout=idle,
            auto_decompress=False,
            shutdown_timeout=deadlines.SERVER_ANSWERS / _HALF,
            max_line_size=_LINE,
            max_field_size=_LINE,
            max_headers=_HEADERS,
            logger=http_log.logger(),
        )
        await runner.setup()
        try:
            await self._listen(runner, sock, tls)
            yield
        finally:
            self.stop_accepting()
            await runner.cleanup()
            for stranger in self._strangers.values():
                stranger.timer.cancel()

    def let_in(self, protocol: RequestHandler) -> None:
        """This connection is the user's: it stays."""
        stranger = self._strangers.pop(protocol, None)
        if stranger is not None:
            stranger.timer.cancel()

    def count(self, protocol: RequestHandler) -> None:
        """A request has come before LOGIN.

        Raises:
            TooManyRequestsError: it is one too many.
        """
        stranger = self._strangers.get(protocol)
        if stranger is None:
            return
        stranger.requests += 1
        if stranger.requests > MOST_REQUESTS:
            raise TooManyRequestsError(
                f"a connection has {MOST_REQUESTS} requests before LOGIN; connect again"
            )

    def stop_accepting(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _listen(
        self, runner: web.AppRunner, sock: socket.socket, tls: ssl.SSLContext
    ) -> None:
        server = runner.server
        if server is None:
            raise RuntimeError("the runner is set up before it listens")
        loop = asyncio.get_running_loop()

        def accepted() -> Door:
            inside: RequestHandler = server()
            door = Door(
                inside,
                self._host.bind,
                self._gone,
                lambda: self._host.before_login,
                self._refusals,
            )
            timer = loop.call_later(self._deadline, self._show_out, door)
            self._strangers[inside] = _Stranger(timer)
            return door

        self._listener = await loop.create_server(
            accepted,
            sock=sock,
            ssl=tls,
            backlog=BACKLOG,
            ssl_handshake_timeout=self._deadline,
            ssl_shutdown_timeout=_CLOSE_NOTIFY,
        )

    def _gone(self, door: Door) -> None:
        self.let_in(door.inside)

    def _show_out(self, door: Door) -> None:
        self._strangers.pop(door.inside, None)
        door.close()
