"""Tells the Routing Manager how things are: one task, one connection, one report at a time.

At the start, at once after every change (changes while a report is under way go together into the next one), and in
full each heartbeat. The pool never waits for it: a slow or absent Routing Manager costs it nothing. After one failed
report the next is sent at once, because a kept connection may just have gone stale; after more, with the heartbeat.

Whatever goes wrong costs a report, never the servers: `problem` says it until a report is accepted again, and the next
report is sent with the heartbeat. That holds for errors of the wrapper's own, too (`standby.containment`).
"""

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import Final

import aiohttp

from app_wrapper.epoch import EpochStore
from app_wrapper.metrics import Contained, Metrics, ReportResult
from app_wrapper.outbox import EpochNotBelievedError, Outbox, Snapshot, encoded
from standby import decode
from standby.bodies import at_most
from standby.containment import Errors
from standby.decode import UnreadableError
from standby.errors import words
from standby.ids import BootId, Epoch, WrapperId
from standby.logs import EventLog
from standby.messages import ErrorBody, Report, ReportOutcome, ReportReply
from standby.text import printable

_KEEP_ALIVE: Final = 60.0
_AT_ONCE: Final = 2
"""Reports that are sent without a pause while they fail."""
_LONGEST_ANSWER: Final = 1 << 16
"""Bytes; a reply has a few dozen, an error a thousand."""
_SHOWN: Final = 200
log = EventLog(__name__)


class RefusedReportError(Exception):
    """The Routing Manager answered with something else than a reply."""


def _said(answer: bytes) -> str:
    """An error's code and sentence, without its id, which is another one each time."""
    try:
        error = decode.json(answer, ErrorBody).error
    except UnreadableError:
        return printable(answer[:_SHOWN].decode(errors="replace"), _SHOWN)
    return f"{error.code}: {error.message}"


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
        self._errors = Errors(log, metrics.contained)
        self._left_out: set[BootId] = set()
        """Processes whose entries did not fit into the last full report or one since."""
        self.accepted = False
        """Whether the last report was accepted."""
        self.problem: str | None = None
        """Why the Routing Manager has taken none of the last reports, in words for the operator."""
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
        """Report until `finish` was called and one more report was tried."""
        done = False
        while not done:
            try:
                async with self._session() as session:
                    while not done:
                        done = await self._report(session)
            except Exception as error:  # noqa: BLE001  # whatever it is, the servers and the next report go on
                self._errors.note(Contained.REPORT, error, url=self._url)
                self._failed(f"the wrapper failed: {type(error).__name__}")
                done = self._closing and self._failures >= _AT_ONCE
                if not done:
                    await self._until_due()

    async def _report(self, session: aiohttp.ClientSession) -> bool:
        """Send the report that is due, and wait for the next; True after the last one."""
        last = self._closing
        await self._send(session, self._outbox.next(self._snapshot()))
        if last and (self.accepted or self._failures >= _AT_ONCE):
            return True
        await self._until_due()
        return False

    def _session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=1, keepalive_timeout=_KEEP_ALIVE)
        timeout = aiohttp.ClientTimeout(total=self._timeout)
        return aiohttp.ClientSession(connector=connector, timeout=timeout)

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
        body, left_out = encoded(report)
        self._note_left_out({each.boot_id for each in left_out}, whole=report.full)
        try:
            reply = await self._post(session, body)
            above = self._outbox.needs_epoch_above(reply)
            if above is not None:
                await self._continue_above(above)
        except (aiohttp.ClientError, OSError, RefusedReportError, EpochNotBelievedError) as error:
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
        if self.accepted:
            self.problem = None

    async def _post(self, session: aiohttp.ClientSession, body: bytes) -> ReportReply:
        async with session.post(
            self._url,
            data=body,
            headers={"Content-Type": "application/json"},
            allow_redirects=False,
        ) as response:
            answer = await at_most(response, _LONGEST_ANSWER)
            if not response.ok:
                raise RefusedReportError(f"status {response.status}, {_said(answer)}")
            try:
                return decode.json(answer, ReportReply)
            except UnreadableError as error:
                raise RefusedReportError(f"not a reply: {error}") from error

    def _note_left_out(self, left_out: set[BootId], *, whole: bool) -> None:
        """Say so once for each process, however often its entry is left out."""
        for boot_id in left_out - self._left_out:
            self._metrics.entries_left_out.inc()
            log.error("report_entry_left_out", boot_id=boot_id)
        self._left_out = left_out if whole else self._left_out | left_out

    def _failed(self, text: str) -> None:
        self._metrics.reports.labels(ReportResult.FAILED).inc()
        if self._failures == 0 or self.accepted:
            log.warning("report_failed", url=self._url, text=text)
        self.accepted = False
        self._failures += 1
        if self._failures > 1:
            self.problem = f"reports to {self._url} fail: {text}"
        self._outbox.lost()

    async def _continue_above(self, known: Epoch) -> None:
        epoch = await asyncio.to_thread(self._store.raise_above, known)
        log.info("epoch_raised", epoch=epoch)
        self._outbox.begin(epoch)
