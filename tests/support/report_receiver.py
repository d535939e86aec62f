"""Stands in for the Routing Manager's Report API: a real server with mutual TLS that keeps what it was told."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from standby.ids import Epoch
from standby.messages import InstanceReport, Report, ReportOutcome, ReportReply
from standby.web import Listener, serving


@dataclass
class ReportReceiver:
    """What arrived, and how to answer."""

    url: str = ""
    reports: list[Report] = field(default_factory=list)
    peers: set[object] = field(default_factory=set)
    """Connections that reports came over."""
    paths: set[str] = field(default_factory=set)
    replies: list[ReportReply] = field(default_factory=list)
    """Given one after another; then everything is accepted."""
    body: bytes | None = None
    """While there is one, the body of every answer."""
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared: reports arrive and are not answered."""

    @classmethod
    @contextlib.asynccontextmanager
    async def listening(cls, tls: ssl.SSLContext, port: int = 0) -> AsyncIterator["ReportReceiver"]:
        receiver = cls()
        receiver.answering.set()
        app = web.Application()
        app.router.add_post("/v1/wrappers/{id}/report", receiver.take)
        async with serving(app, [Listener(port=port, tls=tls)], shutdown_timeout=0.1) as bound:
            receiver.url = f"https://127.0.0.1:{bound[0][1]}"
            yield receiver
            receiver.answering.set()

    async def take(self, request: web.Request) -> web.Response:
        report = msgspec.json.decode(await request.read(), type=Report)
        self.reports.append(report)
        self.peers.add(request.get_extra_info("peername"))
        self.paths.add(request.path)
        await self.answering.wait()
        accepted = ReportReply(outcome=ReportOutcome.ACCEPTED, epoch=report.epoch)
        reply = self.replies.pop(0) if self.replies else accepted
        body = self.body or msgspec.json.encode(reply)
        return web.Response(body=body, content_type="application/json")

    def reply_next(self, outcome: ReportOutcome, epoch: int) -> None:
        self.replies.append(ReportReply(outcome=outcome, epoch=Epoch(epoch)))

    def story(self, boot_id: str) -> list[InstanceReport]:
        """What was reported of one process, without repetitions."""
        told: list[InstanceReport] = []
        for report in self.reports:
            for each in report.instances:
                if each.boot_id == boot_id and (not told or told[-1] != each):
                    told.append(each)
        return told
