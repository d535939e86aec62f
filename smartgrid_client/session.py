"""A session as its user sees it: LOGIN, requests, LOGOUT, over servers that come and go.

Every request is repeated where `retry.Policy` allows it. Before a repetition the connection is closed, because it may
lead to a server that cannot help; the platform then routes the user anew. When the session is over (expired, idle, or
its server was lost), the next try begins with a LOGIN. Each try is told to an observer, whatever became of it.
"""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, TypeVar

from smartgrid_client import requests
from smartgrid_client.api import SmartGridClient
from smartgrid_client.connection import Exchange
from smartgrid_client.errors import (
    ClientError,
    SessionOverError,
    TooLargeError,
    UnansweredError,
)
from smartgrid_client.freshness import Memory
from smartgrid_client.requests import Operation, Request
from smartgrid_client.retry import Policy
from smartgrid_client.schedule import reached
from smartgrid_client.waits import Waits, telling
from standby.deadlines import CLIENT_LOGOUT
from standby.logs import EventLog
from standby.secret import Secret

ReplyT = TypeVar("ReplyT")
log = EventLog(__name__)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of one request."""

    exchange: Exchange[object]
    number: int
    """1 for the first try."""
    late: float
    """Seconds from the moment the request was meant for to this try's sending."""
    repeated: bool
    """It failed and another try follows, of all or of its parts."""

    @property
    def failed(self) -> bool:
        """It failed for good."""
        return self.exchange.failed and not self.repeated


Observer = Callable[[Attempt], None]


class Session:
    """`async with` logs in and out; what fails for good is raised."""

    def __init__(
        self,
        client: SmartGridClient,
        key: Secret,
        observer: Observer,
        *,
        stop: asyncio.Event,
        policy: Policy | None = None,
        memory: Memory | None = None,
        waits: Waits | None = None,
    ) -> None:
        """`stop` ends every wait between tries; the try on its way goes on. Without `memory` nothing is kept."""
        self._client = client
        self._key = key
        self._observer = observer
        self._policy = policy or Policy()
        self._memory = memory
        self._stop = stop
        self._waits = waits
        self._expires = 0.0

    async def __aenter__(self) -> Self:
        try:
            await self.open()
        except BaseException:
            await self._client.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """LOGIN.

        Raises:
            ClientError: it failed for good.
        """
        known, accept_older = None, False
        if self._memory is not None:
            known, accept_older = self._memory.kept, self._memory.accept_older
        request = requests.login(self._key, known, accept_older=accept_older)
        reply = await self._repeat(request, None, self._stop)
        self._expires = asyncio.get_running_loop().time() + reply.expires_in
        if self._memory is not None:
            self._memory.logged_in(reply)

    async def close(self) -> None:
        """LOGOUT if there is a session, within `CLIENT_LOGOUT` seconds, and close the connection in any case.

        Raises:
            ClientError: LOGOUT failed for good; the session will end by its idleness.
        """
        try:
            if self._client.logged_in:
                await self._logout()
        finally:
            await self._client.close()

    async def perform(self, request: Request[ReplyT], intended: float | None = None) -> ReplyT:
        """The reply to a request that was meant for the moment `intended` of the loop's clock (None: now).

        Raises:
            ClientError: it failed for good; LOGIN's error if the session could not be opened again.
            TooLargeError: of a request that is divisible, the caller sends the parts.
        """
        return await self._repeat(request, intended, self._stop)

    async def _repeat(
        self, request: Request[ReplyT], intended: float | None, stop: asyncio.Event
    ) -> ReplyT:
        now = asyncio.get_running_loop().time
        began, attempt, met_over = now(), 0, False
        while True:
            attempt += 1
            if request.operation not in {Operation.LOGIN, Operation.LOGOUT}:
                await self._ensure_login()
            late = now() - (began if intended is None else intended)
            async with telling(None if self._client.connected else self._waits):
                exchange = await self._client.exchange(request)
            error = exchange.outcome
            if not isinstance(error, ClientError):
                self._observer(Attempt(exchange, attempt, late, repeated=False))
                return error
            over = isinstance(error, SessionOverError)
            luck = random.random()  # noqa: S311  # spreads clients, protects nothing
            first_over = over and not met_over
            met_over = met_over or over
            # the end of a session is no news of the platform's load, however many tries it took to learn it
            counted = 1 if first_over else attempt
            wait = self._policy.wait(request.operation, error, counted, now() - began, luck)
            if stop.is_set():
                wait = None
            in_parts = request.divisible and isinstance(error, TooLargeError)
            repeated = wait is not None or in_parts
            self._observer(Attempt(exchange, attempt, late, repeated=repeated))
            if error.retry:
                await self._client.disconnect()
            if wait is None or not await reached(now() + wait, stop):
                raise error
            log.info("request_repeated", operation=request.operation.value, code=error.reason)

    async def _ensure_login(self) -> None:
        if not self._client.logged_in or asyncio.get_running_loop().time() >= self._expires:
            await self.open()

    async def _logout(self) -> None:
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(CLIENT_LOGOUT):
                reply = await self._repeat(requests.logout(), None, stop=asyncio.Event())
        except SessionOverError:
            return
        except TimeoutError:
            error = UnansweredError("no answer to LOGOUT in time; the session ends when it is idle")
            spent = asyncio.get_running_loop().time() - began
            sent_at = time.time() - spent
            unanswered: Exchange[object] = Exchange(Operation.LOGOUT, sent_at, spent, 0.0, error)
            self._observer(Attempt(unanswered, 1, 0.0, repeated=False))
            raise error from None
        if self._memory is not None:
            await self._memory.logged_out(reply)
