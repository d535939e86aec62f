"""Type 1: a meter that pushes its batches, one at each tick, in order, and keeps what was not acknowledged.

A batch that failed for a reason that may pass stays the next one to send. One that the server refuses for good (too
many rows, say) is given up, or it would block all that follow; the summary and the exit status say so. A certificate
that may not push at all ends the run, and so does a server that the policy does not admit.
"""

import asyncio
from collections.abc import Iterator

from smartgrid_client import requests
from smartgrid_client.batches import Batch
from smartgrid_client.errors import ENDING, ClientError
from smartgrid_client.messages import Stored
from smartgrid_client.requests import Request
from smartgrid_client.schedule import Schedule, ticks
from smartgrid_client.session import Session


async def push(
    session: Session, batches: Iterator[Batch], schedule: Schedule, stop: asyncio.Event
) -> None:
    """Push until the batches, the schedule or the user's patience (`stop`) end."""
    pending = _next(batches)
    async for intended in ticks(schedule, stop):
        if pending is None:
            return
        try:
            await session.perform(pending, intended)
        except ENDING:
            raise
        except ClientError as error:
            if error.retry:
                continue
        pending = _next(batches)
        if pending is None:
            return


def _next(batches: Iterator[Batch]) -> Request[Stored] | None:
    """The next batch, encoded ahead of its time so that preparing it does not make it late."""
    batch = next(batches, None)
    return None if batch is None else requests.long_write(batch)
