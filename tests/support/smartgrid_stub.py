"""A small server of the smart-grid API and a small load balancer before it, both of which misbehave when told to.

The stub speaks real TLS 1.3 with client certificates and keeps what it is told in memory. It is not the server: it
checks only what the client's behaviour depends on.
"""

import asyncio
import contextlib
import itertools
import ssl
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from attestation.issuer import ServerIssuer
from standby.ids import parse_uid
from standby.web import Listener, serving
from tests.support.certificates import Certificates

KEY_HEX = "5e" * 32


class Fault(Enum):
    """What happens to one request, instead of a good answer."""

    CUT_BEFORE = "the connection ends before the request is carried out"
    CUT_AFTER = "the request is carried out, and the connection ends before the answer"
    EXPIRED = "401 expired_token, and the session is over"
    UNAVAILABLE = "503 volume_unavailable"
    TAKEN = "409 server_taken"
    FORBIDDEN = "403 wrong_role"
    NONSENSE = "200 with a body that is not of this API"
    SILENCE = "no answer"


REFUSALS = {
    Fault.EXPIRED: (401, "expired_token"),
    Fault.UNAVAILABLE: (503, "volume_unavailable"),
    Fault.TAKEN: (409, "server_taken"),
    Fault.FORBIDDEN: (403, "wrong_role"),
}


@dataclass
class SmartGridStub:
    """Its state: what was stored, which requests arrived, and which faults come next for which path."""

    faults: dict[str, deque[Fault]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    """Names of the operations, as they arrived."""
    connections: set[Any] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    batches: list[list[Any]] = field(default_factory=list)
    """Of which at least one row was new."""
    most_rows: int = 20_000
    """In one batch."""
    rejected: set[int] = field(default_factory=set)
    """Times that it does not take."""
    conflicts: list[dict[str, Any]] = field(default_factory=list)
    alarms: dict[int, dict[str, Any]] = field(default_factory=dict)
    logins: int = 0
    expires_in: float = 600.0
    login_challenge: dict[str, str | None] = field(
        default_factory=lambda: {"boot_id": "0c" * 8, "nonce": "0d" * 32}
    )
    """What a LOGIN has to prove; whether it does is not checked."""
    proofs: list[dict[str, str] | None] = field(default_factory=list)
    """Of LOGINs."""

    def next_time(self, operation: str, *faults: Fault) -> None:
        self.faults.setdefault(operation, deque()).extend(faults)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        operation = request.match_info["operation"]
        if operation == "login-challenge":
            self.connections.add(request.transport)
            return web.json_response(self.login_challenge)
        self.requests.append(operation)
        self.connections.add(request.transport)
        waiting = self.faults.get(operation)
        fault = waiting.popleft() if waiting else None
        if fault is Fault.CUT_BEFORE:
            return _cut(request)
        if fault is Fault.SILENCE:
            await asyncio.Event().wait()
        if fault is Fault.EXPIRED:
            self.tokens.clear()
        if fault in REFUSALS:
            return refusal(*REFUSALS[fault])
        if fault is Fault.NONSENSE:
            return web.json_response({"what": "is this"})
        answer = await self._answer(operation, request)
        return _cut(request) if fault is Fault.CUT_AFTER else answer

    async def _answer(self, operation: str, request: web.Request) -> web.Response:
        body = msgspec.json.decode(await request.read() or b"{}")
        if operation == "login":
            return self._login(body)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            return refusal(401, "unknown_token")
        return self._allowed(operation, token, request, body)

    def _allowed(
        self, operation: str, token: str, request: web.Request, body: dict[str, Any]
    ) -> web.Response:
        match operation:
            case "query-avg":
                return self._averages(request)
            case "conflicts":
                return web.json_response({"conflicts": self.conflicts})
            case "alarms":
                return self._alarms(request, body)
            case "long-write" if len(body["rows"]) > self.most_rows:
                return refusal(413, "batch_too_large")
            case _:
                return web.json_response(self._changed(operation, token, body))

    def _changed(self, operation: str, token: str, body: dict[str, Any]) -> dict[str, Any]:
        if operation == "logout":
            self.tokens.discard(token)
            return {"ended": not self.tokens}
        if operation == "write":
            for each in body["alarms"]:
                self.alarms[len(self.alarms) + 1] = each
            return {"stored": len(body["alarms"])}
        return self._stored(body["rows"], correct=body.get("correct", False))

    def _stored(self, rows: list[Any], *, correct: bool) -> dict[str, Any]:
        known = {row[0]: row for batch in self.batches for row in batch}
        names = ("stored", "unchanged", "corrected", "conflicts", "rejected")
        counts: dict[str, Any] = dict.fromkeys(names, 0)
        new, reasons = [], []
        for place, row in enumerate(rows):
            if row[0] in self.rejected:
                name = "rejected"
                reasons.append({"row": place, "reason": "not that time"})
            elif row[0] not in known:
                name = "stored"
                new.append(row)
            else:
                same = known[row[0]] == row
                name = "unchanged" if same else "corrected" if correct else "conflicts"
            counts[name] += 1
        if new:
            self.batches.append(new)
        return {**counts, "rejections": reasons}

    def _alarms(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        number = int(request.match_info.get("number", 0))
        if request.method == "DELETE":
            return web.json_response({"deleted": int(self.alarms.pop(number, None) is not None)})
        if request.method == "PUT" and number not in self.alarms:
            return refusal(404, "unknown_alarm")
        if request.method == "PUT":
            self.alarms[number] = body
            return web.json_response({"id": number, **body})
        after = int(request.query.get("after", "0"))
        rest = [{"id": n, **each} for n, each in self.alarms.items() if n > after]
        return web.json_response({"alarms": rest[:2], "more": len(rest) > 2})

    def _login(self, body: dict[str, Any]) -> web.Response:
        self.proofs.append(body.get("proof"))
        if body.get("key") != KEY_HEX:
            return refusal(401, "wrong_key")
        self.logins += 1
        token = f"token-{self.logins}"
        self.tokens.add(token)
        return web.json_response(
            {
                "token": token,
                "expires_in": self.expires_in,
                "boot_id": f"{self.logins:016x}",
                "generation": self.logins,
            }
        )

    def _averages(self, request: web.Request) -> web.Response:
        column = ["timestamp", "power", "impedance", "tension"].index(request.query["metric"])
        start, end = (int(request.query.get(name, 0)) for name in ("start", "end"))
        rows = [row for rows in self.batches for row in rows if start <= row[0] < (end or 2**62)]
        size = int(request.query.get("bucket", "0"))
        edges = [int(each) for each in request.query.get("edges", "").split(",") if each]
        groups: dict[int, list[float]] = {}
        for row in rows:
            if size:
                groups.setdefault(row[0] // size * size, []).append(row[column])
            for first, last in itertools.pairwise(edges):
                if first <= row[0] < last:
                    groups.setdefault(first, []).append(row[column])
        buckets = [
            {"start": start, "count": len(group), "average": sum(group) / len(group)}
            for start, group in sorted(groups.items())
        ]
        average = sum(row[column] for row in rows) / len(rows) if rows else None
        metric = request.query["metric"]
        return web.json_response(
            {
                "metric": metric,
                "count": len(rows),
                "average": average,
                "buckets": buckets,
                "first": min((row[0] for row in rows), default=None),
                "last": max((row[0] for row in rows), default=None),
            }
        )


def refusal(status: int, code: str) -> web.Response:
    error = {"code": code, "message": f"because of {code}", "id": "0123456789ab"}
    return web.json_response({"error": error}, status=status)


def _cut(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def server_context(certificates: Certificates, uid: str, directory: Path) -> ssl.SSLContext:
    """TLS 1.3 as the server shows it to `uid`."""
    issuer = ServerIssuer.load(certificates.issuer_certificate, certificates.issuer_key)
    minted = issuer.certificate(parse_uid(uid))
    file = directory / f"stub-{uid}.pem"
    file.write_bytes(minted.chain_pem + minted.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(file)
    context.load_verify_locations(certificates.users_ca)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@contextlib.asynccontextmanager
async def running_stub(
    stub: SmartGridStub, context: ssl.SSLContext
) -> AsyncIterator[tuple[str, int]]:
    """The address at which the stub serves while the context lasts."""
    app = web.Application()
    app.router.add_route("*", "/v1/{operation}", stub.handle)
    app.router.add_route("*", "/v1/{operation}/{number}", stub.handle)
    async with serving(app, [Listener(tls=context)], shutdown_timeout=0.2) as addresses:
        yield addresses[0]


class Door(Enum):
    """What the load balancer does with one connection."""

    OPEN = "forward it"
    ALERT = "refuse it with the TLS alert internal_error"
    NAME_ALERT = "refuse it with the TLS alert unrecognized_name"
    SHUT = "close it after the ClientHello"
    RESET = "reset it after the ClientHello"
    MUTE = "never say anything"


_ALERTS = {Door.ALERT: 80, Door.NAME_ALERT: 112}


@dataclass
class Gate:
    """A load balancer for tests: forwards bytes, unless told otherwise for the next connections."""

    target: tuple[str, int]
    next_connections: deque[Door] = field(default_factory=deque)
    count: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def next_time(self, *doors: Door) -> None:
        self.next_connections.extend(doors)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.count += 1
        door = self.next_connections.popleft() if self.next_connections else Door.OPEN
        try:
            if door is Door.OPEN:
                await self._forward(reader, writer)
                return
            await reader.read(65536)
            if door is Door.MUTE:
                await reader.read(65536)
            if door in _ALERTS:
                writer.write(bytes([21, 3, 3, 0, 2, 2, _ALERTS[door]]))
                await writer.drain()
            if door is Door.RESET:
                writer.transport.abort()
        finally:
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self.target)
        try:
            await asyncio.gather(_pipe(reader, back), _pipe(there, writer))
        finally:
            back.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def running_gate(target: Sequence[Any]) -> AsyncIterator[tuple[Gate, int]]:
    """The gate and its port on loopback."""
    gate = Gate((str(target[0]), int(target[1])))
    server = await asyncio.start_server(gate.handle, "127.0.0.1", 0)
    try:
        yield gate, server.sockets[0].getsockname()[1]
    finally:
        server.close()
