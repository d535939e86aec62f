"""Says while a server is waited for, because a client that shows nothing for seconds looks as if it hung.

How many others wait is not said: before a server is there, only the load balancer can answer, which does not know who
asks, and would tell strangers which user is waiting.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

FIRST: Final = 2.0
"""Seconds; a server that is READY is reached in a tenth of that."""
AGAIN: Final = 5.0
"""Seconds from one line to the next."""
Waits = Callable[[float], None]
"""Told how many seconds a server has been waited for."""


@contextlib.asynccontextmanager
async def telling(
    waits: Waits | None, first: float = FIRST, again: float = AGAIN
) -> AsyncIterator[None]:
    """Tell it as long as the context lasts; `first` and `again` are seconds."""
    if waits is None:
        yield
        return
    task = asyncio.create_task(_tell(waits, first, again), name="says that it waits")
    try:
        yield
    finally:
        task.cancel()


async def _tell(waits: Waits, first: float, again: float) -> None:
    now = asyncio.get_running_loop().time
    began = now()
    await asyncio.sleep(first)
    while True:
        waits(now() - began)
        await asyncio.sleep(again)
