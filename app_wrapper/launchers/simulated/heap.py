"""Memory of the size of an enclave's heap: really taken, by a nameless file in memory that nobody writes to.

It can be found as `simulated-enclave-<boot id>` among the wrapper's descriptors (`/proc/<pid>/fd`). Taking 64 MiB
lasts about 20 ms and giving them back 10 ms, so both are done in threads.

Rejected: memory of the server process itself, because the wrapper cannot give a program memory that it did not ask for.
"""

import asyncio
import os
from typing import Self

from standby.ids import BootId


class Heap:
    """Owns the descriptor that it is given."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._closing: asyncio.Future[None] | None = None

    @classmethod
    async def take(cls, boot_id: BootId, size: int) -> Self:
        """Bytes of memory.

        Raises:
            OSError: there is not as much.
        """
        loop = asyncio.get_running_loop()
        filling = loop.run_in_executor(None, _filled, f"simulated-enclave-{boot_id}", size)
        try:
            return cls(await asyncio.shield(filling))
        except asyncio.CancelledError:
            filling.add_done_callback(_give_back)
            raise

    def close(self) -> asyncio.Future[None]:
        """Give the memory back; the result says when that is done."""
        if self._closing is None:
            loop = asyncio.get_running_loop()
            self._closing = loop.run_in_executor(None, os.close, self._descriptor)
        return self._closing

    async def closed(self) -> None:
        """Give the memory back; it is, even if nobody waits until then."""
        await asyncio.shield(self.close())


def _filled(name: str, size: int) -> int:
    descriptor = os.memfd_create(name)  # children do not inherit it
    try:
        os.posix_fallocate(descriptor, 0, size)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _give_back(filling: asyncio.Future[int]) -> None:
    """It was taken after nobody wanted it any more."""
    if not filling.cancelled() and filling.exception() is None:
        os.close(filling.result())
