"""The platform's state as server-sent events: at once, and again when something changed.

Changes that come quickly are sent as one, and the state is encoded once for all followers. On a large platform that
costs time which routes need, so sending may use at most one part in `SHARE` of the event loop. A follower that reads
slowly misses states in between, never the last one; one that does not read at all is dropped. While nothing changes
each hears a sign of life (`alive`), so that silence means that this process is away, or the connection.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Final

from aiohttp import web

from routing_manager.errors import TooManyFollowersError
from standby.deadlines import EVENTS_INTERVAL, EVENTS_KEEPALIVE, EVENTS_WRITE

SHARE: Final = 20
_ALIVE: Final = b"event: alive\ndata: .\n\n"
"""An event of its own and no comment, because a page's script does not see comments."""
_HEADERS: Final = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}
Mailbox = asyncio.Queue[bytes | None]
"""Holds one message, the latest; None: nothing more will come."""


class Feed:
    """Sends `state()`, one JSON text without line breaks, to at most `limit` followers."""

    def __init__(
        self, state: Callable[[], bytes], limit: int, failed: Callable[[Exception], None]
    ) -> None:
        """`failed` is told of a state that could not be made; the next change is sent again."""
        self._state = state
        self._failed = failed
        self._limit = limit
        self._followers: set[Mailbox] = set()
        self._news = asyncio.Event()

    def changed(self) -> None:
        """There is something new to send."""
        self._news.set()

    async def run(self) -> None:
        """Send what is new, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            if self._followers:
                started = time.monotonic()
                try:
                    self._post(self._message())
                except Exception as error:  # noqa: BLE001  # followers must not be left without news for ever
                    self._failed(error)
                await asyncio.sleep(max(EVENTS_INTERVAL, SHARE * (time.monotonic() - started)))

    def close(self) -> None:
        """End every follower's stream."""
        self._limit = 0
        self._post(None)
        self._followers.clear()  # nothing may take the place of the last message

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """Serve one follower until it or the service leaves.

        Raises:
            TooManyFollowersError: nothing was sent.
        """
        response = web.StreamResponse(headers=_HEADERS)
        with self._following() as mailbox:
            await response.prepare(request)
            try:
                await self._send(response, mailbox)
            except TimeoutError:
                if request.transport is not None:
                    request.transport.abort()
            except ConnectionError:
                pass  # a reader who closes the page is no fault to be logged
        return response

    @contextlib.contextmanager
    def _following(self) -> Iterator[Mailbox]:
        if len(self._followers) >= self._limit:
            raise TooManyFollowersError("too many follow the state already; ask for it instead")
        mailbox: Mailbox = asyncio.Queue(maxsize=1)
        mailbox.put_nowait(b"retry: 1000\n" + self._message())
        self._followers.add(mailbox)
        try:
            yield mailbox
        finally:
            self._followers.discard(mailbox)

    @staticmethod
    async def _send(response: web.StreamResponse, mailbox: Mailbox) -> None:
        while True:
            try:
                message = await asyncio.wait_for(mailbox.get(), EVENTS_KEEPALIVE)
            except TimeoutError:
                message = _ALIVE
            if message is None:
                return
            await asyncio.wait_for(response.write(message), EVENTS_WRITE)

    def _post(self, message: bytes | None) -> None:
        for mailbox in self._followers:
            if mailbox.full():
                mailbox.get_nowait()
            mailbox.put_nowait(message)

    def _message(self) -> bytes:
        return b"data: " + self._state() + b"\n\n"
