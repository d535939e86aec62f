"""Errors that cost one entry, user or connection: all are counted, and one a minute of each kind is logged.

For loops that serve many: whatever is wrong with one of them is a defect of ours, so it must be seen, but a peer that
can cause it again and again must not fill the log with it.
"""

import time
from collections.abc import Callable
from typing import Final

from standby.logs import EventLog

LOG_EVERY: Final = 60.0
"""Seconds between two records of one kind."""


class Errors:
    """One service's; `counted` is called for each with its kind."""

    def __init__(
        self,
        log: EventLog,
        counted: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._counted = counted
        self._clock = clock
        self._logged: dict[str, float] = {}
        self._unlogged: dict[str, int] = {}

    def note(self, kind: str, error: Exception, **fields: object) -> None:
        """An error in one entry of this kind, which was dropped; `kind` comes from an enum, so there are few."""
        self._counted(kind)
        now = self._clock()
        if now < self._logged.get(kind, float("-inf")) + LOG_EVERY:
            self._unlogged[kind] = self._unlogged.get(kind, 0) + 1
            return
        self._logged[kind] = now
        before = self._unlogged.pop(kind, 0)
        self._log.error(
            "error_contained", error=error, kind=kind, not_logged_before=before, **fields
        )
