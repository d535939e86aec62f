"""A server's output: reading it line by line at a bounded rate, and letting a bounded number of lines into the log.

A server that floods its output waits for its wrapper, which reads no faster than `READ_RATE`; so a flood costs the
flooder, and its wrapper little. Of what is read, the log gets a burst, and as much in the server's whole life as its
allowance says. The allowance grows slowly, for servers that live for months.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from app_wrapper.bucket import Bucket, spend
from standby.lines import LineCutter

CHUNK: Final = 8192
"""Bytes handled before the loop's other tasks have their turn."""
READ_RATE: Final = 1024 * 1024.0
"""Bytes a second that are read of one output, far more than can be logged. What a pipe holds (64 KiB) is read in a
sixteenth of a second, so `deadlines.OUTPUT_END` suffices for the rest of a server's words."""
READ_BURST: Final = 4 * 1024 * 1024.0
"""Bytes that are read at once."""
LINE_COST: Final = 256
"""Bytes that a shorter line counts as: each is looked at, and a flood may be of empty ones."""
LOG_RATE: Final = 50.0
"""Lines a second of one server that are logged, and at once."""
LIFE_LINES: Final = 1000.0
"""Lines of one server that are logged in its life; a session of the example application logs five."""
LIFE_CHARACTERS: Final = 256 * 1024.0
"""Characters of them."""
_MINUTE: Final = 60.0
_MORE_LINES: Final = 1 / _MINUTE
_MORE_CHARACTERS: Final = LIFE_CHARACTERS / LIFE_LINES / _MINUTE
"""By which the allowances of a life grow, a second."""


async def lines(reader: asyncio.StreamReader) -> AsyncIterator[str]:
    """The lines of a pipe, until its end."""
    allowed = Bucket(READ_BURST, READ_RATE)
    cutter = LineCutter()
    while chunk := await reader.read(CHUNK):
        found = cutter.feed(chunk)
        for line in found:
            yield line
        await spend(allowed, max(len(chunk), len(found) * LINE_COST))
    for line in cutter.end():
        yield line


class LogGate:
    """Which lines of one server are logged, and when it is said how many were not. Pure."""

    def __init__(
        self,
        rate: float = LOG_RATE,
        lines: float = LIFE_LINES,
        characters: float = LIFE_CHARACTERS,
    ) -> None:
        self._at_once = Bucket(rate, rate)
        self._lines = Bucket(lines, _MORE_LINES)
        self._characters = Bucket(characters, _MORE_CHARACTERS)
        self._stopped = 0
        self._told = 0
        self._tell_at = 1

    def admit(self, line: str, now: float) -> bool:
        """Whether the line may be logged now."""
        buckets = ((self._at_once, 1), (self._lines, 1), (self._characters, len(line)))
        if any(bucket.left(now) < 1 for bucket, _ in buckets):
            self._stopped += 1
            return False
        for bucket, amount in buckets:
            bucket.take(amount, now)
        return True

    def due(self) -> int | None:
        """How many lines were stopped so far, if it is time to say so: at 1, 2, 4, 8 and so on."""
        return self._tell() if self._stopped >= self._tell_at else None

    def rest(self) -> int | None:
        """The same at the end, if more were stopped than was said."""
        return self._tell() if self._stopped > self._told else None

    def _tell(self) -> int:
        self._told, self._tell_at = self._stopped, 2 * self._stopped
        return self._stopped
