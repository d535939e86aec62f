"""The listener, and the end of connections that do not log in.

A routing promise is short, so a connection that has not logged in by the deadline is closed; a client that comes later
is routed anew. Connections of the process's own user stay, quiet or not, as long as his session may.

aiohttp has no hook for this in its sites, so the listening socket is opened here, with aiohttp's protocol behind it.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from standby import deadlines
from standby.web import BACKLOG

_HALF: Final = 2
"""aiohttp waits for a request's answer as long as it is told, then as long again, before it cancels the work on it."""
_CLOSE_NOTIFY: Final = 1.0
"""Seconds for a client to answer the end of TLS before its connection is dropped."""


class Connections:
    """Connections of one listener; those that are not let in leave after `deadline` seconds."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._strangers: dict[RequestHandler, asyncio.TimerHandle] = {}
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
        )
        await runner.setup()
        try:
            await self._listen(runner, sock, tls)
            yield
        finally:
            self.stop_accepting()
            await runner.cleanup()
            for timer in self._strangers.values():
                timer.cancel()

    def let_in(self, protocol: RequestHandler) -> None:
        """This connection is the user's: it stays."""
        timer = self._strangers.pop(protocol, None)
        if timer is not None:
            timer.cancel()

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

        def accepted() -> RequestHandler:
            protocol: RequestHandler = server()
            self._strangers[protocol] = loop.call_later(self._deadline, self._show_out, protocol)
            return protocol

        self._listener = await loop.create_server(
            accepted,
            sock=sock,
            ssl=tls,
            backlog=BACKLOG,
            ssl_handshake_timeout=self._deadline,
            ssl_shutdown_timeout=_CLOSE_NOTIFY,
        )

    def _show_out(self, protocol: RequestHandler) -> None:
        self._strangers.pop(protocol, None)
        protocol.force_close()
