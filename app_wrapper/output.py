"""A server's output: cutting it into lines of bounded length, and letting a bounded number of them into the log."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from standby.lines import MAX_LINE

CHUNK: Final = 8192
"""Bytes handled before the loop's other tasks have their turn; a server that floods its output slows only itself."""
LOG_RATE: Final = 50.0
"""Lines a second of one server that are logged; the rest is counted."""
LOG_LENGTH: Final = 500
"""Characters of a line that are logged."""


class LineCutter:
    """Bytes in, lines out. A line that is too long is given cut, once it is complete."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._rest = b""

    def feed(self, chunk: bytes) -> list[str]:
        """The lines that this chunk completes."""
        *whole, rest = (self._rest + chunk).split(b"\n")
        self._rest = rest[
            : self._limit + 1
        ]  # one more, so that a cut line stays recognisable as too long
        return [self._text(line) for line in whole]

    def end(self) -> list[str]:
        """The line that was not ended, if there is one."""
        rest, self._rest = self._rest, b""
        return [self._text(rest)] if rest else []

    def _text(self, line: bytes) -> str:
        cut = line[: self._limit] + (b"\xe2\x80\xa6" if len(line) > self._limit else b"")
        return cut.decode("utf-8", "replace").rstrip("\r")


async def lines(reader: asyncio.StreamReader) -> AsyncIterator[str]:
    """The lines of a pipe, until its end."""
    cutter = LineCutter()
    while chunk := await reader.read(CHUNK):
        for line in cutter.feed(chunk):
            yield line
        await asyncio.sleep(0)
    for line in cutter.end():
        yield line


class LogGate:
    """Lets `rate` lines a second pass on average, and a second's worth at once; counts those it stops. Pure."""

    def __init__(self, rate: float = LOG_RATE) -> None:
        self._rate = rate
        self._tokens = rate
        self._last: float | None = None
        self._stopped = 0

    def admit(self, now: float) -> bool:
        """Whether a line may pass now."""
        if self._last is not None:
            self._tokens = min(self._rate, self._tokens + (now - self._last) * self._rate)
        self._last = now
        if self._tokens < 1:
            self._stopped += 1
            return False
        self._tokens -= 1
        return True

    def take_stopped(self) -> int:
        """How many were stopped since this was asked last."""
        stopped, self._stopped = self._stopped, 0
        return stopped
