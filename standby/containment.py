"""Errors that cost one entry, user or connection: all are counted, and one a minute of each kind is logged.

For loops that serve many: whatever is wrong with one of them is a defect of ours, so it must be seen, but a peer that
can cause it again and again must not fill the log with it.
"""

import time
from collections.abc import Callable

from standby.logs import EventLog
from standby.sampling import Sampler


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
        self._sampler = Sampler()

    def note(self, kind: str, error: Exception, **fields: object) -> None:
        """An error in one entry of this kind, which was dropped; `kind` comes from an enum, so there are few."""
        self._counted(kind)
        before = self._sampler.admit(kind, self._clock())
        if before is not None:
            self._log.error(
                "error_contained", error=error, kind=kind, not_logged_before=before, **fields
            )
