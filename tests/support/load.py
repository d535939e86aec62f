"""Users at work on a whole platform, and how often each of them had to try again."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Final

from smartgrid_client import requests
from smartgrid_client.errors import ClientError
from smartgrid_client.messages import Metric
from smartgrid_client.session import Attempt, Session
from tests.support.platform import RunningPlatform, User

GAP: Final = 0.1
"""Seconds between two requests of a user."""


class Load:
    """What became of the users' requests since `forget`."""

    def __init__(self) -> None:
        self.answered: Counter[str] = Counter()
        self.tried_again: Counter[str] = Counter()
        """Tries that failed and were followed by another one."""
        self.failed: dict[str, str] = {}
        """Requests that failed for good: the reason by user."""

    def forget(self) -> None:
        for each in (self.answered, self.tried_again, self.failed):
            each.clear()

    def note(self, uid: str, attempt: Attempt) -> None:
        outcome = attempt.exchange.outcome
        if attempt.failed:
            self.failed[uid] = f"{attempt.exchange.operation}: {outcome}"
        elif isinstance(outcome, ClientError):
            self.tried_again[uid] += 1
        else:
            self.answered[uid] += 1


@contextlib.asynccontextmanager
async def load(
    running: RunningPlatform, steady: Sequence[User], visitors: Sequence[User] = ()
) -> AsyncIterator[Load]:
    """Requests while the context lasts: steady users stay logged in, visitors log in and out all the time."""
    stop, seen = asyncio.Event(), Load()

    async def stay(user: User) -> None:
        async with _session(running, user, seen) as session:
            while not stop.is_set():
                await session.perform(requests.query_avg(Metric.POWER))
                await _pause(stop)

    async def visit(user: User) -> None:
        while not stop.is_set():
            async with _session(running, user, seen) as session:
                await session.perform(requests.query_avg(Metric.POWER))
            await _pause(stop)

    tasks = [asyncio.create_task(stay(each)) for each in steady]
    tasks += [asyncio.create_task(visit(each)) for each in visitors]
    try:
        yield seen
    finally:
        stop.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


def _session(running: RunningPlatform, user: User, seen: Load) -> Session:
    return Session(
        running.client(user),
        user.key,
        lambda attempt: seen.note(user.uid, attempt),
        stop=asyncio.Event(),
    )


async def _pause(stop: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), GAP)
