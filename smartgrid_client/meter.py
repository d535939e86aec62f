"""Type 1: a meter that pushes its batches, one at each tick, in order, and keeps what was not acknowledged.

A batch that failed for a reason that may pass stays the next one to send; when the schedule has no end, pushing ends
with it, or it would stay so for ever. One that is too large for the server is sent in two halves, and so are all that
are larger than these. One that the server refuses for good is given up, or it would block all that follow; the summary
and the exit status say so. A certificate that may not push at all ends the run, and so does a server that the policy
does not admit.
"""

import asyncio
import math
from collections import deque
from collections.abc import Iterator

from smartgrid_client import requests
from smartgrid_client.batches import Batch
from smartgrid_client.errors import ENDING, ClientError, TooLargeError
from smartgrid_client.schedule import Schedule, ticks
from smartgrid_client.session import Session


class _Queue:
    """What is to be sent, as large as the server takes it."""

    def __init__(self, batches: Iterator[Batch]) -> None:
        self._batches = batches
        self._parts: deque[Batch] = deque()
        self._most = math.inf
        """Rows."""

    def next(self) -> Batch | None:
        batch = self._parts.popleft() if self._parts else next(self._batches, None)
        while batch is not None and len(batch.rows) > self._most:
            batch = self._halved(batch)
        return batch

    def divide(self, batch: Batch) -> None:
        """It is too large, and comes next in two parts."""
        self._most = len(batch.rows) - 1
        self._parts.appendleft(batch)

    def _halved(self, batch: Batch) -> Batch:
        first, second = batch.halves()
        self._parts.appendleft(second)
        return first


async def push(
    session: Session,
    batches: Iterator[Batch],
    schedule: Schedule,
    stop: asyncio.Event,
    *,
    correct: bool = False,
) -> None:
    """Push until the batches, the schedule or the user's patience (`stop`) end.

    `correct`: what differs from what is stored takes its place.
    """
    queue = _Queue(batches)
    batch = queue.next()
    async for intended in ticks(schedule, stop):
        if batch is None:
            return
        request = requests.long_write(batch, correct=correct)
        try:
            await session.perform(request, intended)
        except ENDING:
            raise
        except TooLargeError:
            if request.divisible:
                queue.divide(batch)
        except ClientError as error:
            if error.retry and schedule.endless:
                return
            if error.retry:
                continue
        batch = queue.next()
        if batch is None:
            return
