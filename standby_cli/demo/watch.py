"""The pool's states over time, by asking again and again what `standby status` asks once."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from msgspec import Struct

from standby.messages import StateCounts
from standby_cli.control import CallError, Control
from standby_cli.endpoints import Endpoints
from standby_cli.overview import collect

PERIOD = 0.2
"""Seconds between two looks; a state that lasts less may go unseen."""


class Sample(Struct, frozen=True, kw_only=True):
    seconds: float
    """Since the watch began."""
    counts: StateCounts
    waiting: int


class Watch:
    """Collects samples; `processes` has every boot id that was ever seen with a user, and who that was."""

    def __init__(self, running: Endpoints, calls: Control) -> None:
        self.samples: list[Sample] = []
        self.users_of_process: dict[str, set[str]] = {}
        self._running = running
        self._calls = calls
        self._began = time.monotonic()

    async def look(self) -> None:
        found = await collect(self._running, self._calls)
        if found.away:
            return
        seconds = time.monotonic() - self._began
        self.samples.append(Sample(seconds=seconds, counts=found.counts, waiting=found.waiting))
        for each in found.instances:
            if each.user:
                self.users_of_process.setdefault(each.boot_id, set()).add(each.user)

    async def run(self) -> None:
        while True:
            with contextlib.suppress(CallError):
                await self.look()
            await asyncio.sleep(PERIOD)


@contextlib.asynccontextmanager
async def watching(running: Endpoints, calls: Control) -> AsyncIterator[Watch]:
    watch = Watch(running, calls)
    await watch.look()
    task = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
