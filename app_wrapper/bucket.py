"""What one server may have of its wrapper's time: an allowance that is used up, and comes back at a rate.

A server that is taken over says, asks and prints as much as it can. Who reads from it takes what is read from a bucket
and waits while the bucket is overdrawn. So the pipe or channel fills up, and the flooder waits for its wrapper: a flood
costs the flooder.
"""

import asyncio


class Bucket:
    """An allowance in bytes, lines or requests. Pure."""

    def __init__(self, size: float, rate: float) -> None:
        """Full; `rate` is a second."""
        self._size = size
        self._rate = rate
        self._left = size
        self._last: float | None = None

    def left(self, now: float) -> float:
        """Negative after more was taken than there was."""
        if self._last is not None:
            self._left = min(self._size, self._left + (now - self._last) * self._rate)
        self._last = now
        return self._left

    def take(self, amount: float, now: float) -> None:
        self._left = self.left(now) - amount

    def pause(self, now: float) -> float:
        """Seconds until something is left again."""
        return max(0.0, -self.left(now) / self._rate)


async def spend(bucket: Bucket, amount: float = 1) -> None:
    """Take from the bucket, and wait until it is not overdrawn any more; lets other tasks run in any case."""
    loop = asyncio.get_running_loop()
    bucket.take(amount, loop.time())
    await asyncio.sleep(bucket.pause(loop.time()))
