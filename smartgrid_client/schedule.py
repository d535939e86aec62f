"""When requests are meant to be sent: an open loop, so that a slow answer does not thin out the load it causes.

Request k is meant for `start + k * frequency`, whatever happened to the requests before it; one that is overdue is sent
at once, and its lateness is reported. So the time a user would have waited is not hidden by a client that waited too.
"""

import asyncio
import itertools
import math
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """Times are seconds on the event loop's clock."""

    start: float
    frequency: float
    """Seconds between two requests; 0: each as soon as the one before is answered."""
    duration: float
    """Seconds, or infinite; the first request is sent however short it is."""

    @property
    def end(self) -> float:
        return self.start + self.duration

    @property
    def endless(self) -> bool:
        return math.isinf(self.duration)

    def times(self) -> Iterator[float]:
        """The intended times, in order; without end when the frequency is 0."""
        for number in itertools.count():
            offset = number * self.frequency
            if number and offset >= self.duration and self.frequency:
                return
            yield self.start + offset


async def ticks(schedule: Schedule, stop: asyncio.Event) -> AsyncIterator[float]:
    """The intended times, each when it has come; ends early at `stop`, or when time is up with requests overdue."""
    now = asyncio.get_running_loop().time
    for number, intended in enumerate(schedule.times()):
        if await reached(intended, stop) and not (number and now() >= schedule.end):
            yield intended
        else:
            return


async def reached(moment: float, stop: asyncio.Event) -> bool:
    """Wait for a moment of the loop's clock; False when `stop` came first."""
    if not stop.is_set():
        try:
            async with asyncio.timeout_at(moment):
                await stop.wait()
        except TimeoutError:
            pass
    return not stop.is_set()
