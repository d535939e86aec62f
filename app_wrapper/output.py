"""A server's output: reading it line by line, and letting a bounded number of lines into the log."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from standby.lines import LineCutter

CHUNK: Final = 8192
"""Bytes handled before the loop's other tasks have their turn; a server that floods its output slows only itself."""
LOG_RATE: Final = 50.0
"""Lines a second of one server that are logged; the rest is counted."""


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
