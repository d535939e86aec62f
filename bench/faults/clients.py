"""The users: each a meter and a customer with sessions of their own, over the library that real clients use.

Sessions are short, so that servers are replaced all the time, but for a few steady users. Their meters' requests flow
without a pause over connections that stay open, so they would notice a fault that nobody may notice; their customers
come and go meanwhile, and would be given a second server if the platform forgot the first. A batch that was not
acknowledged stays the next one to send, in a later session if need be. No request is ever cancelled on its way (a
LOGOUT that takes too long is, by the library), so every try's outcome is in the history.
"""

import asyncio
import random
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from bench.faults import rows
from bench.faults.history import Call, Closing, Opened, Try, Writer
from bench.platform import Access
from smartgrid_client import requests
from smartgrid_client.api import SmartGridClient
from smartgrid_client.errors import ClientError
from smartgrid_client.messages import Login, Metric, Stored
from smartgrid_client.requests import Operation
from smartgrid_client.schedule import reached
from smartgrid_client.session import Attempt, Session
from standby.identity import Role
from standby_cli.endpoints import Endpoints

T = TypeVar("T")
WRITES: Final = 0.4
"""Share of a customer's requests that are WRITEs; the others are QUERY_AVG."""
MOST_ALARMS: Final = 3
FEWEST_ROWS: Final = 5
MOST_ROWS: Final = 60
MOST_TEXT: Final = 300


@dataclass(frozen=True, slots=True)
class Pace:
    """From the least to the most of each; gaps and pauses in seconds."""

    requests: tuple[int, int]
    """Of one session, between LOGIN and LOGOUT."""
    gap: tuple[float, float]
    """Between two requests."""
    pause: tuple[float, float]
    """Between two sessions."""


STEADY: Final = 4
"""One user of so many is steady."""
_LONG: Final = Pace(requests=(150, 500), gap=(0.04, 0.08), pause=(0.5, 2.0))
_VISITS: Final = Pace(requests=(1, 4), gap=(0.05, 0.3), pause=(0.5, 2.0))
_REQUESTS: Final = (2, 7)
_GAP: Final = (0.05, 0.5)
_PAUSE: Final = 4.0
"""Between two sessions, on average, when there are servers for everybody."""


def pace(user: int, role: Role, users: int, pool: int) -> Pace:
    """How the client of this role of the `user`-th of `users` behaves.

    Short sessions are paused so that with more users than one wrapper has servers (`pool`) no more of them are busy.
    """
    if user % STEADY == 1:
        return _LONG if role is Role.METER else _VISITS
    pause = _PAUSE * max(1.0, users / pool)
    return Pace(requests=_REQUESTS, gap=_GAP, pause=(pause / 2, pause * 3 / 2))


class Client:
    """One user's meter or customer."""

    def __init__(
        self,
        access: Access,
        user: int,
        running: Endpoints,
        pace: Pace,
        dice: random.Random,
        directory: Path,
        stop: asyncio.Event,
    ) -> None:
        """`stop` ends the session under way and begins no other."""
        self.uid = access.uid
        self._access = access
        self._user = user
        self._client: SmartGridClient = access.client(running)
        self._key = access.key()
        self._pace = pace
        self._dice = dice
        self._stop = stop
        self._history = Writer(directory / f"{access.uid}-{access.role}.jsonl")
        self._history.write(Opened(uid=access.uid, user=user, role=access.role))
        self._call = Call(call=0, operation=Operation.LOGIN, at=0.0)
        self._login: Login | None = None
        self._opened: float | None = None
        self._pending: tuple[int, int] | None = None
        """Number and size of the batch that has not been acknowledged."""
        self._batches = 0
        self._alarms = 0

    async def run(self) -> None:
        """One session after another until `stop`."""
        pause: tuple[float, float] = (0.0, self._pace.pause[1])  # they do not all begin at once
        while not await self._passed(pause):
            pause = self._pace.pause
            session = self._session(self._stop)
            try:
                await self._tell(Operation.LOGIN, session.open())
                await self._use(session)
            except ClientError:
                continue  # the history has it
            finally:
                await self._end(session)

    async def last_login(self) -> None:
        """Log in and out once more, with all the patience a client has."""
        self._history.write(Closing(at=time.monotonic()))
        session = self._session(asyncio.Event())
        try:
            await self._tell(Operation.LOGIN, session.open())
        except ClientError:
            return  # the history has it
        finally:
            await self._end(session)

    def close(self) -> None:
        self._history.close()

    async def _use(self, session: Session) -> None:
        for _ in range(self._dice.randint(*self._pace.requests)):
            if await self._passed(self._pace.gap):
                return
            if self._access.role is Role.METER:
                await self._push(session)
            else:
                await self._ask(session)

    async def _push(self, session: Session) -> None:
        if self._pending is None:
            self._batches += 1
            self._pending = self._batches, self._dice.randint(FEWEST_ROWS, MOST_ROWS)
        number, size = self._pending
        request = requests.long_write(rows.batch(self._user, number, size))
        await self._tell(Operation.LONG_WRITE, session.perform(request), batch=number, rows=size)
        self._pending = None

    async def _ask(self, session: Session) -> None:
        if self._dice.random() >= WRITES:
            query = requests.query_avg(self._dice.choice(list(Metric)))
            await self._tell(Operation.QUERY_AVG, session.perform(query))
            return
        first = self._alarms + 1
        self._alarms += self._dice.randint(1, MOST_ALARMS)
        numbers = tuple(range(first, self._alarms + 1))
        write = requests.write([rows.alarm(self._user, number) for number in numbers])
        await self._tell(Operation.WRITE, session.perform(write), alarms=numbers)

    async def _end(self, session: Session) -> None:
        try:
            await self._tell(Operation.LOGOUT, session.close())
        except ClientError:
            return  # the session will end by itself

    async def _tell(
        self,
        operation: Operation,
        work: Awaitable[T],
        *,
        batch: int | None = None,
        rows: int = 0,
        alarms: tuple[int, ...] = (),
    ) -> T:
        """Write the call down before it begins."""
        self._call = Call(
            call=self._call.call + 1,
            operation=operation,
            at=time.monotonic(),
            batch=batch,
            rows=rows,
            alarms=alarms,
        )
        self._history.write(self._call)
        return await work

    def _session(self, stop: asyncio.Event) -> Session:
        self._login = self._opened = None
        return Session(self._client, self._key, self._note, stop=stop)

    def _note(self, attempt: Attempt) -> None:
        answered = time.monotonic()
        exchange = attempt.exchange
        outcome, sent = exchange.outcome, answered - exchange.latency
        opened = self._opened
        if exchange.connect > 0:
            self._opened = sent + exchange.connect
        if isinstance(outcome, Login):
            self._login = outcome
        session = None if exchange.operation is Operation.LOGIN and exchange.failed else self._login
        error = outcome if isinstance(outcome, ClientError) and exchange.failed else None
        self._history.write(
            Try(
                call=self._call.call,
                operation=exchange.operation,
                sent=sent,
                answered=answered,
                opened=opened,
                reopened=opened is not None and exchange.connect > 0,
                code=error.reason if error else None,
                text=str(error)[:MOST_TEXT] if error else "",
                final=error is not None and not error.retry,
                maybe_done=error.maybe_done if error else False,
                boot_id=session.boot_id if session else None,
                generation=session.generation if session else None,
                duplicate=isinstance(outcome, Stored) and outcome.known,
                repeated=attempt.repeated,
            )
        )
        if error is not None and error.retry:
            self._opened = None  # the session closes the connection

    async def _passed(self, between: tuple[float, float]) -> bool:
        """Wait a while; True when the client shall stop."""
        wait = self._dice.uniform(*between)
        return not await reached(asyncio.get_running_loop().time() + wait, self._stop)
