"""Claims and releases as the event loop sees them: off the loop, each with a deadline.

A provider that hangs costs its caller the deadline and nobody else anything. A claim that is granted after its deadline
is given back at once, so that no volume stays claimed for nobody.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

from app_wrapper.volumes import ClaimedElsewhereError, Holder, VolumeError, Volumes
from app_wrapper.volumes.copier import Copier
from standby.ids import Generation, Uid, WrapperId
from standby.lines import Denied, Volume
from standby.logs import EventLog
from standby.messages import MESSAGE_LENGTH
from standby.text import printable

T = TypeVar("T")
_THREADS: Final = 32
"""Calls of the provider at the same time; they mostly wait for disks."""
_FIRST_PAUSE: Final = 0.01
_UNAVAILABLE: Final = "volume_unavailable"
log = EventLog(__name__)


class Desk:
    """One provider's front desk. Durations in seconds."""

    def __init__(
        self,
        provider: Volumes,
        *,
        deadline: float,
        handover: float,
        delay: float = 0.0,
        copier: Copier | None = None,
    ) -> None:
        """`copier` is told of each claim that ended well; None: volumes are not copied."""
        self._provider = provider
        self._copier = copier
        self._deadline = deadline
        self._handover = handover
        self._delay = delay
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="volumes")

    async def claim(self, uid: Uid, holder: Holder) -> Volume | Denied:
        """The volume, or why not; a holder that is about to leave is waited for."""
        try:
            async with asyncio.timeout(self._deadline):
                await asyncio.sleep(self._delay)
                return await self._claim(uid, holder)
        except TimeoutError:
            return Denied(_UNAVAILABLE, f"the volume did not come within {self._deadline:g} s")
        except VolumeError as error:
            return Denied(error.code, printable(str(error).replace("\n", " "), MESSAGE_LENGTH))
        except Exception as error:  # noqa: BLE001  # a provider's fault must not leave its user unanswered
            log.error("claim_failed", error=error, uid=uid)
            return Denied(_UNAVAILABLE, "the volume provider failed; the wrapper's log says how")

    async def release(self, uid: Uid, generation: Generation, *, closed: bool = False) -> None:
        """Give a claim back; what goes wrong is logged, the claim's lock ends with this process at the latest.

        `closed`: the server has closed the data, so they are worth a copy.
        """
        try:
            await self._in_time(partial(self._release, uid, generation, closed=closed))
        except VolumeError as error:
            log.error(
                "volume_not_taken_back",
                uid=uid,
                generation=generation,
                code=error.code,
                text=str(error),
            )
        except Exception as error:  # noqa: BLE001  # as above: the slot must become free
            log.error("release_failed", error=error, uid=uid, generation=generation)

    def _release(self, uid: Uid, generation: Generation, *, closed: bool) -> None:
        self._provider.release(uid, generation)
        if closed and self._copier is not None:
            self._copier.closed(uid, generation)

    async def recover(self, wrapper_id: WrapperId) -> list[Uid]:
        """Give back what an earlier life of this wrapper left claimed; waits as long as that takes."""
        return await asyncio.wrap_future(self._threads.submit(self._provider.recover, wrapper_id))

    def begin_copies(self) -> None:
        """From now on copies are made; first those that were due before the start. Comes after `recover`."""
        if self._copier is not None:
            self._copier.begin()

    async def exists(self, uid: Uid) -> bool:
        """Whether the user has a volume.

        Raises:
            TimeoutError: the provider did not answer in time.
        """
        return await self._in_time(partial(self._provider.exists, uid))

    def close(self) -> None:
        """Nothing new is begun, and what is held is let go."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._copier is not None:
            self._copier.close()
        self._provider.close()

    async def _claim(self, uid: Uid, holder: Holder) -> Volume:
        patience = time.monotonic() + self._handover
        pause = _FIRST_PAUSE
        while True:
            future = self._threads.submit(self._provider.claim, uid, holder)
            try:
                return await asyncio.shield(asyncio.wrap_future(future))
            except asyncio.CancelledError:
                if not future.cancel():
                    future.add_done_callback(partial(self._give_back, uid))
                raise
            except ClaimedElsewhereError:
                if time.monotonic() + pause > patience:
                    raise
            await asyncio.sleep(pause)
            pause *= 2

    def _give_back(self, uid: Uid, future: Future[Volume]) -> None:
        """A claim came after nobody waited for it any more; runs in the thread that made it."""
        if future.cancelled() or future.exception() is not None:
            return
        log.warning("late_claim_given_back", uid=uid)
        self._provider.release(uid, future.result().generation)

    async def _in_time(self, call: Callable[[], T]) -> T:
        async with asyncio.timeout(self._deadline):
            return await asyncio.wrap_future(self._threads.submit(call))
