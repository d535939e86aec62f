"""Waiting for a condition with a deadline and a message, instead of sleeping."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar, overload

T = TypeVar("T")
_PAUSE: Final = 0.01
DEADLINE: Final = 60.0
"""Seconds; only a test that fails waits for so long, and a busy machine is slow."""


class NeverHappenedError(AssertionError):
    """The condition did not become true before the deadline."""


@overload
async def eventually(
    condition: Callable[[], Coroutine[Any, Any, T]], message: str, *, deadline: float = ...
) -> T: ...
@overload
async def eventually(condition: Callable[[], T], message: str, *, deadline: float = ...) -> T: ...
async def eventually(
    condition: Callable[[], Any], message: str, *, deadline: float = DEADLINE
) -> Any:
    """The first truthy value of `condition`, asked again until `deadline` seconds have passed."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        result = await value if isinstance(value, Awaitable) else value
        if result:
            return result
        if time.monotonic() > end:
            raise NeverHappenedError(f"not within {deadline} s: {message} (last seen: {result!r})")
        await asyncio.sleep(_PAUSE)


def eventually_sync(condition: Callable[[], T], message: str, *, deadline: float = DEADLINE) -> T:
    """As `eventually`, for tests without an event loop."""
    end = time.monotonic() + deadline
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise NeverHappenedError(f"not within {deadline} s: {message} (last seen: {result!r})")
        time.sleep(_PAUSE)
