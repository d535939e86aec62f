"""Looks, at intervals, at how much servers that serve have put into directories of their own.

A directory that is not there any more has nothing in it. One that cannot be looked at is looked at again the next time:
the claim and the end of a claim look, too, and refuse what is over its bounds (`volumes.data`).

Between two looks a server can write as fast as the disk is. A quota of the file system has no such gap; where an
application names its volumes' files nothing of this is needed, and nothing is looked at but the server's own scratch
directory.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app_wrapper.volumes.bounds import Bounds, look
from standby.ids import BootId
from standby.logs import EventLog

_VOLUME, _SCRATCH = "the user's volume", "its scratch directory"
log = EventLog(__name__)


@dataclass(frozen=True, slots=True)
class Places:
    """Directories that a server may fill."""

    boot_id: BootId
    scratch: Path
    volume: Path | None = None
    """None: its files are named, and it can make no others."""

    def excess(self, bounds: Bounds) -> str | None:
        """What there is too much of, in words."""
        named = {_SCRATCH: self.scratch} | ({} if self.volume is None else {_VOLUME: self.volume})
        for name, directory in named.items():
            try:
                over = look(directory, bounds).over
            except FileNotFoundError:
                continue
            if over is not None:
                return f"{name} has {over}"
        return None


class UsageWatch:
    """In a thread of its own, one server after the other."""

    def __init__(
        self,
        serving: Callable[[], Iterable[Places]],
        bounds: Bounds,
        interval: float,
        tell: Callable[[BootId, str], None],
    ) -> None:
        """`serving`: the servers that have a user now; `tell` is told of each that is over the bounds, and by what."""
        self._serving = serving
        self._bounds = bounds
        self._interval = interval
        self._tell = tell
        self._thread: Final = ThreadPoolExecutor(1, thread_name_prefix="usage")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """It looks while the context lasts."""
        task = asyncio.create_task(self._run(), name="usage")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            for places in list(self._serving()):
                await self._look(places)

    async def _look(self, places: Places) -> None:
        loop = asyncio.get_running_loop()
        try:
            over = await loop.run_in_executor(self._thread, places.excess, self._bounds)
        except Exception as error:  # noqa: BLE001  # the next server is looked at all the same
            log.warning("usage_unknown", boot_id=places.boot_id, text=str(error))
            return
        if over is not None:
            self._tell(places.boot_id, over)
