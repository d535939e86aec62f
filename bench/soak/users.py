"""Meters and customers that log in, work a little and log out, again and again, each with a session of its own.

A meter sends the same few batches over and over, and a customer only asks, so that databases stop growing soon after
the start: what grows later is the platform's.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from bench.faults import rows
from bench.platform import Access
from smartgrid_client import requests
from smartgrid_client.errors import ClientError
from smartgrid_client.messages import Metric
from smartgrid_client.schedule import reached
from smartgrid_client.session import Attempt, Session
from standby.identity import Role
from standby_cli.endpoints import Endpoints

BATCHES: Final = 20
ROWS: Final = 60
_REQUESTS: Final = (2, 6)
_GAP: Final = (0.1, 0.8)
"""Seconds between two requests of a session."""
_PAUSE: Final = (2.0, 6.0)
"""Seconds between two sessions."""


@dataclass(slots=True)
class Served:
    """What users got so far."""

    sessions: int = 0
    requests: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    """Tries by error code; most were repeated."""
    given_up: Counter[str] = field(default_factory=Counter)
    """Requests that failed for good, by error code."""
    logins: list[float] = field(default_factory=list)
    """Seconds of each LOGIN, from its first try on."""


class Client:
    """One user's meter or customer."""

    def __init__(
        self, access: Access, user: int, running: Endpoints, seed: int, served: Served
    ) -> None:
        self._access = access
        self._user = user
        self._client = access.client(running)
        self._key = access.key()
        self._dice = random.Random(f"{seed} {access.uid} {access.role}")  # noqa: S311  # no secret
        self._served = served
        self._batches = count()

    async def run(self, stop: asyncio.Event) -> None:
        """One session after another until `stop`; a request that is on its way is answered first."""
        while await self._wait(_PAUSE, stop):
            session = Session(self._client, self._key, self._note, stop=stop)
            try:
                await self._log_in(session)
                await self._work(session, stop)
            except ClientError as error:
                if not stop.is_set():
                    self._served.given_up[error.reason] += 1
            finally:
                await self._end(session)

    async def _log_in(self, session: Session) -> None:
        now = asyncio.get_running_loop().time
        began = now()
        await session.open()
        self._served.sessions += 1
        self._served.logins.append(now() - began)

    async def _work(self, session: Session, stop: asyncio.Event) -> None:
        for _ in range(self._dice.randint(*_REQUESTS)):
            if not await self._wait(_GAP, stop):
                return
            if self._access.role is Role.METER:
                batch = rows.batch(self._user, next(self._batches) % BATCHES, ROWS)
                await session.perform(requests.long_write(batch))
            else:
                await session.perform(requests.query_avg(self._dice.choice(list(Metric))))
            self._served.requests += 1

    async def _end(self, session: Session) -> None:
        try:
            await session.close()
        except ClientError as error:
            self._served.given_up[error.reason] += 1

    def _note(self, attempt: Attempt) -> None:
        error = attempt.exchange.outcome
        if isinstance(error, ClientError) and attempt.exchange.failed:
            self._served.failed[f"{attempt.exchange.operation} {error.reason}"] += 1

    async def _wait(self, between: Sequence[float], stop: asyncio.Event) -> bool:
        """False when the client shall stop."""
        seconds = self._dice.uniform(between[0], between[1])
        return await reached(asyncio.get_running_loop().time() + seconds, stop)
