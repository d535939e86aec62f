"""How fast a wrapper starts servers, all slots together. Pure.

Two brakes against servers that end as soon as they are started. Never more than so many starts per second (a bucket of
one second's worth). And when starts have failed in a row wherever they were tried, the fault is the application's or
the machine's: then one server is tried at a time, after pauses that grow, and the first that comes up ends that. (A
slot that failed also pauses for itself, which is what one bad slot alone costs.)

Not counted here: servers of one user's own (approach `trivial`), whose failures may be that user's data.
"""

from typing import Final

from app_wrapper.backoff import Backoff

TOLERATED: Final = 3
"""Failures in a row before the whole wrapper slows down."""


class Pacing:
    """Durations in seconds."""

    def __init__(self, per_second: float, backoff: Backoff) -> None:
        self.failures = 0
        """Starts in a row that came to nothing, in any slot."""
        self.failure = ""
        """The last of them, in words."""
        self.lasting = False
        """It would happen again until somebody repairs something."""
        self._backoff = backoff
        self._per_second = per_second
        self._burst = max(1.0, per_second)
        self._tokens = self._burst
        self._counted_at = float("-inf")
        self._resumes = float("-inf")

    @property
    def troubled(self) -> bool:
        """Servers do not start, so that one is tried at a time."""
        return self.failures > TOLERATED or self.lasting

    def room(self, starting: int, now: float) -> int:
        """How many servers may be started now while `starting` are on their way."""
        if self.troubled and (starting or now < self._resumes):
            return 0
        tokens = int(self._refilled(now))
        return min(1, tokens) if self.troubled else tokens

    def opens(self, starting: int, now: float) -> float | None:
        """When there will be room; None if not before one of those on their way has come to something."""
        if self.troubled and starting:
            return None
        missing = max(0.0, 1.0 - self._refilled(now))
        soonest = now + missing / self._per_second
        return max(soonest, self._resumes) if self.troubled else soonest

    def started(self, now: float) -> None:
        self._tokens = self._refilled(now) - 1.0
        self._counted_at = now

    def came_up(self) -> None:
        """A server has started."""
        self.failures, self.failure, self.lasting = 0, "", False

    def failed(self, why: str, now: float, *, lasting: bool) -> None:
        self.failures += 1
        self.failure, self.lasting = why, lasting
        pause = self._backoff.delay(self.failures - TOLERATED)
        self._resumes = now + (self._backoff.most if lasting else pause)

    def trouble(self) -> str | None:
        """What the operator is told; None while servers start."""
        if not self.troubled:
            return None
        again = f"tried again every {self._backoff.most:g} s"
        if self.lasting:
            return f"no server can start until this is repaired ({again}): {self.failure}"
        return f"no server starts, {self.failures} failures in a row ({again}): {self.failure}"

    def _refilled(self, now: float) -> float:
        return min(self._burst, self._tokens + max(0.0, now - self._counted_at) * self._per_second)
