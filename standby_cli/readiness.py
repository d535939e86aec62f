"""Whether a process serves: it writes a line to a descriptor that it inherits, as services under s6 do.

The end of the process closes the descriptor, so the answer always comes. Rejected: connecting to the part's port, where
another process of the same part may answer.
"""

import asyncio
import os

from standby.service import READY_FD


class Readiness:
    """Of one process that is about to be started, on a running event loop."""

    def __init__(self) -> None:
        self._reader, self.descriptor = os.pipe()
        self._loop = asyncio.get_running_loop()
        self._serves: asyncio.Future[bool] = self._loop.create_future()
        self._loop.add_reader(self._reader, self._read)

    @property
    def environ(self) -> dict[str, str]:
        """What the process is told about `descriptor`, which it must inherit."""
        return {READY_FD: str(self.descriptor)}

    def handed_over(self) -> None:
        """The process has its descriptor, or could not be started."""
        os.close(self.descriptor)

    async def serves(self) -> bool:
        """Wait for the process to serve; False when it ended without."""
        return await asyncio.shield(self._serves)

    def _read(self) -> None:
        said = bool(os.read(self._reader, 1))
        self._loop.remove_reader(self._reader)
        os.close(self._reader)
        self._serves.set_result(said)
