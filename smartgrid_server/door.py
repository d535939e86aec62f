"""One connection until its client is known: who it is, and whether anything it sends is read.

The handshake is over when the door meets a client. It asks whether the client is admitted, and reads nothing meanwhile.
Then it passes on what comes to aiohttp's protocol behind it; or, to a client who is not admitted, one answer. What a
client sends before LOGIN is passed on up to `MOST_BYTES`, and the rest is thrown away, so that the answer still
reaches a client who is sending a long body.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, cast

from aiohttp.web_protocol import RequestHandler

from smartgrid_server.errors import WrongUserError
from smartgrid_server.tls import asked_for
from standby import identity
from standby.errors import PlatformError
from standby.identity import USER_ROLES
from standby.ids import Uid
from standby.logs import EventLog
from standby.sampling import Sampler
from standby.web import RoleError, error_bytes

MOST_BYTES: Final = 16_384
"""Of one connection before LOGIN; a client needs about 2,000."""
log = EventLog(__name__)


class Door(asyncio.Protocol):
    """In front of one RequestHandler."""

    def __init__(
        self,
        inside: RequestHandler,
        admit: Callable[[Uid], Awaitable[None]],
        closed: Callable[["Door"], None],
        before_login: Callable[[], bool],
        refusals: Sampler,
    ) -> None:
        """For one connection.

        Args:
            inside: reads the requests of a client who is admitted
            admit: returns when the client's requests may be read, or raises a PlatformError for the client
            closed: is told of the connection's end
            before_login: whether no user has logged in here yet
            refusals: which of all connections' refusals are logged
        """
        self.inside = inside
        self._admit = admit
        self._closed = closed
        self._before_login = before_login
        self._refusals = refusals
        self._transport: asyncio.Transport | None = None
        self._opening: asyncio.Task[None] | None = None
        self._open = False
        self._refusal = b""
        self._early = b""
        """What was there before the door was told not to read."""
        self._room = MOST_BYTES

    def close(self) -> None:
        """End the connection."""
        if self._open:
            self.inside.force_close()
        elif self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is complete."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.pause_reading()
        opening = self._decide(self._transport)
        self._opening = asyncio.get_running_loop().create_task(opening, name="door")

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._opening is not None:
            self._opening.cancel()
        if self._open:
            self.inside.connection_lost(exc)
        self._closed(self)

    def data_received(self, data: bytes) -> None:
        if self._open:
            self._pass_on(data)
        elif self._refusal:
            self._refuse()
        else:
            self._early = (self._early + data)[:MOST_BYTES]

    def eof_received(self) -> None:
        if self._open:
            self.inside.eof_received()

    def pause_writing(self) -> None:
        if self._open:
            self.inside.pause_writing()

    def resume_writing(self) -> None:
        if self._open:
            self.inside.resume_writing()

    # what the door does

    async def _decide(self, transport: asyncio.Transport) -> None:
        try:
            await self._admit(_user(transport))
        except PlatformError as error:
            before = self._refusals.admit(error.code, time.monotonic())
            self._refusal = error_bytes(error, logged=before is not None)
        except Exception as error:  # noqa: BLE001  # this connection ends, and no other
            log.error("door_failed", error=error)
            transport.abort()
            return
        else:
            self._open = True
            self.inside.connection_made(transport)
        early, self._early = self._early, b""
        if early:
            self.data_received(early)
        transport.resume_reading()

    def _refuse(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._refusal)
            self._transport.close()

    def _pass_on(self, data: bytes) -> None:
        if self._room > 0 and self._before_login():
            data = data[: self._room]
            self._room -= len(data)
        elif self._room <= 0:
            return
        self.inside.data_received(data)


def _user(transport: asyncio.Transport) -> Uid:
    """The user of the client's certificate, which TLS has verified.

    Raises:
        UnknownIdentityError, RoleError: it is no user's.
        WrongUserError: it is another user's than the one that the client asked for.
    """
    who = identity.of_certificate(transport.get_extra_info("peercert"))
    if who.role not in USER_ROLES:
        raise RoleError(f"a certificate of role {who.role} may not call this")
    if who.name != asked_for(transport.get_extra_info("ssl_object")):
        raise WrongUserError("the client certificate is not that of the user asked for (SNI)")
    return who.name
