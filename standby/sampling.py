"""Which of many like records are written, so that whoever can cause one again and again does not fill the log. Pure."""

from typing import Final

PERIOD: Final = 60.0
"""Seconds."""


class Sampler:
    """Lets the first `most` records of each kind in a period pass, and counts the others.

    There are as many counts as kinds, so kinds come from an enum or a class, never from a peer.
    """

    def __init__(self, most: int = 1, period: float = PERIOD) -> None:
        self._most = most
        self._period = period
        self._begun: dict[str, float] = {}
        self._passed: dict[str, int] = {}

    def admit(self, kind: str, now: float) -> int | None:
        """How many of that kind were not written in the period before, if this one is to be; None: it is not."""
        unwritten = 0
        if now >= self._begun.get(kind, float("-inf")) + self._period:
            unwritten = max(0, self._passed.get(kind, 0) - self._most)
            self._begun[kind], self._passed[kind] = now, 0
        self._passed[kind] += 1
        return unwritten if self._passed[kind] <= self._most else None
