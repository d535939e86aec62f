"""Tells the Routing Manager how things are: one task, one connection, one report at a time.

At the start, at once after every change (changes while a report is under way go together into the next one), and in
full each heartbeat. The pool never waits for it: a slow or absent Routing Manager costs it nothing. After one failed
report the next is sent at once, because a kept connection may just have gone stale; after more, with the heartbeat.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable
from typing import Final

import aiohttp
import msgspec

from app_wrapper.epoch import EpochStore
from app_wrapper.metrics import Metrics, ReportResult
from app_wrapper.outbox import Outbox, Snapshot
from standby.errors import words
from standby.ids import BootId, Epoch, WrapperId
from standby.logs import EventLog
from standby.messages import Report, ReportOutcome, ReportReply

_KEEP_ALIVE: Final = 60.0
_AT_ONCE: Final = 2
"""Reports that are sent without a pause while they fail."""
log = EventLog(__name__)


class RefusedReportError(Exception):
    """The Routing Manager answered with something else than a reply."""


class Reporter:
    """Durations in seconds."""

    def __init__(
        self,
        url: str,
        wrapper_id: WrapperId,
        tls: ssl.SSLContext,
        store: EpochStore,
        snapshot: Callable[[], Snapshot],
        metrics: Metrics,
        *,
        heartbeat: float,
        timeout: float,
    ) -> None:
        self._url = f"{url.rstrip('/')}/v1/wrappers/{wrapper_id}/report"
        self._tls = tls
        self._store = store
        self._snapshot = snapshot
        self._metrics = metrics
        self._heartbeat = heartbeat
        self._timeout = timeout
        self._outbox = Outbox(store.epoch)
        self._wake = asyncio.Event()
        self._closing = False
        self._failures = 0
        self.accepted = False
        """Whether the last report was accepted."""
        self._accepted_at = time.monotonic()

    @property
    def unreported(self) -> float:
        """Seconds since a report was accepted, or since the start."""
        return time.monotonic() - self._accepted_at

    def changed(self, boot_id: BootId | None = None) -> None:
        """Something is to be reported."""
        self._outbox.changed(boot_id)
        self._wake.set()

    def finish(self) -> None:
        """Say in one more full report that this wrapper leaves, then end; its servers have ended."""
        self._closing = True
        self._outbox.leave()
        self._wake.set()

    async def run(self) -> None:
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=1, keepalive_timeout=_KEEP_ALIVE)
        timeout = aiohttp.ClientTimeout(total=self._timeout)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            while True:
                last = self._closing
                await self._send(session, self._outbox.next(self._snapshot()))
                if last and (self.accepted or self._failures >= _AT_ONCE):
                    return
                await self._until_due()

    async def _until_due(self) -> None:
        """Return on news, else with the heartbeat; while reports fail, only the first of them is repeated at once."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self._heartbeat
        while not self._closing and not (self._outbox.pending and self._failures < _AT_ONCE):
            self._wake.clear()
            try:
                async with asyncio.timeout_at(due):
                    await self._wake.wait()
            except TimeoutError:
                self._outbox.heartbeat()
                return

    async def _send(self, session: aiohttp.ClientSession, report: Report) -> None:
        try:
            reply = await self._post(session, report)
        except (aiohttp.ClientError, TimeoutError, OSError, RefusedReportError) as error:
            self._failed(words(error))
            return
        self._metrics.reports.labels(ReportResult(reply.outcome)).inc()
        self.accepted = reply.outcome is ReportOutcome.ACCEPTED
        if self.accepted:
            if self._failures:
                log.info("reports_accepted_again", url=self._url, away_s=round(self.unreported, 1))
            self._accepted_at = time.monotonic()
        # an answer that asks for more is not a failure, but asked again and again it must not become a flood
        self._failures = 0 if self.accepted else self._failures + 1
        above = self._outbox.needs_epoch_above(reply)
        if above is not None:
            await self._continue_above(above)

    async def _post(self, session: aiohttp.ClientSession, report: Report) -> ReportReply:
        async with session.post(
            self._url,
            data=msgspec.json.encode(report),
            headers={"Content-Type": "application/json"},
            allow_redirects=False,
        ) as response:
            body = await response.read()
            if not response.ok:
                raise RefusedReportError(
                    f"status {response.status}: {body[:200].decode(errors='replace')}"
                )
            try:
                return msgspec.json.decode(body, type=ReportReply)
            except msgspec.MsgspecError as error:
                raise RefusedReportError(f"not a reply: {error}") from error

    def _failed(self, text: str) -> None:
        self._metrics.reports.labels(ReportResult.FAILED).inc()
        if self._failures == 0 or self.accepted:
            log.warning("report_failed", url=self._url, text=text)
        self.accepted = False
        self._failures += 1
        self._outbox.lost()

    async def _continue_above(self, known: Epoch) -> None:
        with contextlib.suppress(OSError):
            epoch = await asyncio.to_thread(self._store.raise_above, known)
            log.info("epoch_raised", epoch=epoch)
            self._outbox.begin(epoch)
