"""Looks, at intervals, at how much servers have put into directories of their own.

A server that waits for its user is looked at, too: whoever takes one over need not log in. A directory that is not
there any more has nothing in it, and one that its server has closed to the wrapper has too much. One that cannot be
looked at for another reason is looked at again the next time; the claim and the end of a claim look as well, and refuse
a volume that is over its bounds (`volumes.data`).

Not promised: a bound between two looks, when a server can write as fast as the disk is. A quota of the file system has
no such gap. Where an application names its volumes' files they need no look: only scratch directories get one.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app_wrapper.volumes.bounds import Bounds, look
from standby.errors import words
from standby.ids import BootId
from standby.logs import EventLog
from standby.sampling import Sampler

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
            except PermissionError:
                return f"{name} is closed to its wrapper"
            if over is not None:
                return f"{name} has {over}"
        return None


class UsageWatch:
    """In a thread of its own, one server after the other."""

    def __init__(
        self,
        places: Callable[[], Iterable[Places]],
        bounds: Bounds,
        interval: float,
        tell: Callable[[BootId, str], None],
    ) -> None:
        """`places`: of all servers that are up now; `tell` hears of each that is over the bounds, and by what."""
        self._places = places
        self._bounds = bounds
        self._interval = interval
        self._tell = tell
        self._unknown = Sampler()
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
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._interval)
            places = list(self._places())
            for boot_id, over in await loop.run_in_executor(self._thread, self._look, places):
                self._tell(boot_id, over)

    def _look(self, places: list[Places]) -> list[tuple[BootId, str]]:
        """Which servers are over the bounds, and by what."""
        found = []
        for each in places:
            try:
                over = each.excess(self._bounds)
            except Exception as error:  # noqa: BLE001  # the next one is looked at all the same
                self._note_unknown(each.boot_id, error)
                continue
            if over is not None:
                found.append((each.boot_id, over))
        return found

    def _note_unknown(self, boot_id: BootId, error: Exception) -> None:
        before = self._unknown.admit(type(error).__name__, time.monotonic())
        if before is not None:
            log.warning(
                "usage_unknown", boot_id=boot_id, text=words(error), not_logged_before=before
            )
