"""Makes the copies of volumes that are due, one after another, in a thread that others are more urgent than.

It rests after each part three times as long as the part took, so at most a quarter of the disk's time goes into copies,
and has a server's priority for the processor. When the wrapper ends, what is being made is thrown away; the provider
remembers what is due, and it is made after the next start.

Rejected: the lowest priority. A thread that seldom gets a processor may lose it while it holds Python's lock, and the
wrapper's event loop then waits for both: 0.2 s were seen on a busy machine.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

from app_wrapper.volumes import VolumeError
from app_wrapper.volumes.copies import Kept, VolumeCopies
from standby import deadlines
from standby.ids import Generation, Uid
from standby.logs import EventLog
from standby.processes import SERVING_NICENESS

_REST: Final = 3.0
"""Of the time that a part took."""
log = EventLog(__name__)


class _EndedError(Exception):
    """The wrapper ends."""


class Copier:
    """One wrapper's; `begin` it once."""

    def __init__(self, copies: VolumeCopies, tell: Callable[[Kept], None]) -> None:
        """`tell` is told, in the copier's thread, what came of each copy that was due."""
        self._copies = copies
        self._tell = tell
        self._waiting: SimpleQueue[Uid | None] = SimpleQueue()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="copies", daemon=True)
        self._since = 0.0

    def begin(self) -> None:
        self._thread.start()

    def closed(self, uid: Uid, generation: Generation) -> None:
        """A claim has ended well: remember it, and make the copy soon. Quick; from any thread."""
        try:
            self._copies.closed(uid, generation)
        except VolumeError as error:
            self._failed(uid, error)
        else:
            self._waiting.put(uid)

    def close(self) -> None:
        """Begin nothing more; returns when the thread has ended, unless the disk hangs."""
        self._ended.set()
        self._waiting.put(None)
        if self._thread.is_alive():
            self._thread.join(deadlines.COPIER_STOP)

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), SERVING_NICENESS)
        with contextlib.suppress(_EndedError):
            self._keep_all_due()
            while (uid := self._waiting.get()) is not None:
                self._keep(uid)

    def _keep_all_due(self) -> None:
        try:
            due = self._copies.due()
        except (VolumeError, OSError) as error:
            log.warning("copies_not_known", text=str(error))
            return
        for uid in due:
            self._keep(uid)

    def _keep(self, uid: Uid) -> None:
        if self._ended.is_set():
            raise _EndedError
        self._since = began = time.monotonic()
        try:
            kept = self._copies.keep(uid, self._rest)
        except _EndedError:
            raise
        except Exception as error:  # noqa: BLE001  # the next user's copy is made all the same
            self._failed(uid, error)
            return
        self._tell(kept)
        if kept is not Kept.UNCHANGED:
            seconds = round(time.monotonic() - began, 3)
            log.info("volume_copied", uid=uid, outcome=kept, seconds=seconds)

    def _failed(self, uid: Uid, error: Exception) -> None:
        self._tell(Kept.FAILED)
        if isinstance(error, VolumeError):
            log.warning("volume_not_copied", uid=uid, code=error.code, text=str(error))
        else:
            log.error("volume_not_copied", error=error, uid=uid)

    def _rest(self) -> None:
        """So that sessions have most of the disk."""
        if self._ended.wait(_REST * (time.monotonic() - self._since)):
            raise _EndedError
        self._since = time.monotonic()
