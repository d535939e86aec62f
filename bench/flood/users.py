"""The users whose waits are timed: one from a quiet address who logs in, one who has a session."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from bench.micro.stage import Stage
from smartgrid_client import requests
from smartgrid_client.api import SmartGridClient
from smartgrid_client.errors import ClientError
from smartgrid_client.session import Session

QUIET: Final = "LOGIN, quiet address"
WITH_SESSION: Final = "request, has a session"
_MOST: Final = 20.0
"""Seconds after which a wait counts as failed."""
_PAUSE: Final = 0.5
"""Seconds between two tries."""


@dataclass(slots=True)
class Waits:
    """Seconds of each try that succeeded, and how many did not."""

    seconds: list[float]
    failed: int = 0

    async def take(self, action: Callable[[], Awaitable[None]]) -> None:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(_MOST):
                await action()
        except (ClientError, TimeoutError):
            self.failed += 1
        else:
            self.seconds.append(time.perf_counter() - began)


async def timed(
    stage: Stage, seconds: float, flood: contextlib.AbstractContextManager[None]
) -> dict[str, Waits]:
    """LOGINs of a quiet user, and requests over new connections of one who has a session, while the flood lasts."""
    waits = {QUIET: Waits([]), WITH_SESSION: Waits([])}
    async with _session(stage, "bert") as (client, known):
        await known.open()

        async def come_back() -> None:
            await client.disconnect()
            await known.perform(requests.alarms())

        with flood:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                async with _session(stage, "anna") as (_, session):
                    await waits[QUIET].take(session.open)
                await waits[WITH_SESSION].take(come_back)
                await asyncio.sleep(_PAUSE)
    return waits


@contextlib.asynccontextmanager
async def _session(stage: Stage, uid: str) -> AsyncIterator[tuple[SmartGridClient, Session]]:
    """Not logged in yet; a LOGOUT that gets no answer is left to the session's idleness."""
    client = stage.client(uid)
    session = Session(client, stage.access(uid).key(), lambda _attempt: None, stop=asyncio.Event())
    yield client, session
    with contextlib.suppress(ClientError):
        await session.close()
