"""One timer for a core that decides without a clock: a call at the core's next deadline, whatever comes of it.

The core says when it has something to do; the timer never polls. It does not spin either: when its owner fails, or when
a call leaves the deadline where it was, the next call comes after `TIMER_AGAIN` seconds. So an error costs lateness and
not the loop that serves everybody else.
"""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Final

from standby.deadlines import TIMER_AGAIN

_LEAST: Final = 0.001
"""Seconds; the loop's timer is this coarse, and must not spin until its time has come."""


class Timer:
    """At most one call is planned. Times are seconds on `clock`."""

    def __init__(
        self,
        clock: Callable[[], float],
        next_deadline: Callable[[], float],
        work: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """`next_deadline` is infinity when nothing is due ever; `failed` is told what `work` raised."""
        self._clock = clock
        self._next_deadline = next_deadline
        self._work = work
        self._failed = failed
        self._handle: asyncio.TimerHandle | None = None
        self._due = inf
        """The deadline for which a call is planned."""
        self._not_before = -inf
        self._stopped = False

    def arm(self) -> None:
        """Call no later than the core's next deadline; earlier does no harm."""
        deadline = self._next_deadline()
        if self._stopped or deadline >= self._due:
            return
        if self._handle is not None:
            self._handle.cancel()
        pause = max(deadline, self._not_before) - self._clock()
        self._handle = asyncio.get_running_loop().call_later(max(_LEAST, pause), self._fire)
        self._due = deadline

    def stop(self) -> None:
        """Call no more."""
        self._stopped = True
        if self._handle is not None:
            self._handle.cancel()

    def _fire(self) -> None:
        due, now = self._due, self._clock()
        self._handle, self._due = None, inf
        try:
            self._work()
            stuck = due <= now and self._next_deadline() <= due
        except Exception as error:  # noqa: BLE001  # as the module says
            self._failed(error)
            stuck = True
        if stuck:
            self._hold(now)
        self.arm()

    def _hold(self, now: float) -> None:
        """Plan nothing for a while, not even what `work` has planned itself."""
        self._not_before = now + TIMER_AGAIN
        if self._handle is not None:
            self._handle.cancel()
        self._handle, self._due = None, inf
