"""One TLS connection to one's own server, through the load balancer, and what can happen to a request on it.

The connection goes to the load balancer's address and names the user (SNI = uid); the certificate that comes back
must be for that user, from the servers' authority. There is at most one connection at a time, so all requests of a
session reach the same process without asking the platform again; it is opened by the first request and kept for as long
as a session may be quiet.

Latency is measured as in the dissertation (section 5.2.1): from just before sending to the whole response, without
preparing and without inspecting. Opening the connection, which includes waiting for a free server, is part of the
request that needed it, and is given separately as well.

Errors of aiohttp, ssl and the system become `ClientError`s here (by `faults.translate`) and nowhere else.
"""

import asyncio
import ssl
import sys
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Final, Generic, TypeVar

import aiohttp
import msgspec

from smartgrid_client import errors
from smartgrid_client.faults import translate
from smartgrid_client.messages import Nothing
from smartgrid_client.requests import Operation, Request
from standby.deadlines import CLIENT_CONNECT, CLIENT_REQUEST, SESSION_LENGTH
from standby.ids import Uid
from standby.messages import ErrorBody

ReplyT = TypeVar("ReplyT")
ReplyT_co = TypeVar("ReplyT_co", covariant=True)
_CLOSING_HANGS: Final = sys.version_info < (3, 12, 7)
"""Until then asyncio can leave a TLS transport open for ever whose other side has gone in the middle of closing; with
this, aiohttp aborts it. (3.13.0 has the same fault, and is not worth a rule.)"""
_REFUSED: Final = 400
_REDIRECTED: Final = 300


@dataclass(frozen=True, slots=True)
class Address:
    """Where the platform is, and whose server is wanted there."""

    host: str
    port: int
    uid: Uid


@dataclass(frozen=True, slots=True)
class Exchange(Generic[ReplyT_co]):
    """One request that was sent once, and what came of it."""

    operation: Operation
    sent_at: float
    """Unix seconds."""
    latency: float
    """Seconds, `connect` included."""
    connect: float
    """Seconds for TCP, the wait for a server and the TLS handshake; 0 on an open connection."""
    outcome: ReplyT_co | errors.ClientError

    @property
    def failed(self) -> bool:
        """A LOGOUT from a session that is over has reached what it wanted."""
        over = isinstance(self.outcome, errors.SessionOverError)
        if self.operation is Operation.LOGOUT and over:
            return False
        return isinstance(self.outcome, errors.ClientError)

    def result(self) -> ReplyT_co:
        """The reply.

        Raises:
            ClientError: what happened instead.
        """
        if isinstance(self.outcome, errors.ClientError):
            raise self.outcome
        return self.outcome


@dataclass(slots=True)
class _Progress:
    """How far one request has come, told by aiohttp's tracing."""

    began: float = 0.0
    connect: float = 0.0
    connected: bool = False


@dataclass(slots=True)
class Connection:
    """The connection; closing it is not final, the next request opens a new one."""

    address: Address
    tls: ssl.SSLContext
    request_timeout: float = CLIENT_REQUEST
    connect_timeout: float = CLIENT_CONNECT
    _session: aiohttp.ClientSession | None = field(default=None, init=False)

    async def exchange(
        self, request: Request[ReplyT], token: str | None = None
    ) -> Exchange[ReplyT]:
        """Send one request once; failures are in the outcome."""
        session = self._session = self._session or self._open()
        progress = _Progress()
        headers = {"Host": self.address.uid, "Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        call = session.request(
            request.method,
            request.path,
            params=request.query,
            data=request.body,
            headers=headers,
            allow_redirects=False,
            server_hostname=self.address.uid,
            trace_request_ctx=progress,
        )
        outcome: ReplyT | errors.ClientError
        sent_at, began = time.time(), time.perf_counter()
        try:
            async with call as response:
                body = await response.read()
            latency = time.perf_counter() - began
            outcome = decode(request.reply, response.status, body)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            latency = time.perf_counter() - began
            outcome = translate(error, connected=progress.connected, fresh=progress.began > 0)
            outcome.__cause__ = error
        return Exchange(request.operation, sent_at, latency, progress.connect, outcome)

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()
            await asyncio.sleep(0)  # what was aborted closes its socket in the loop's next round

    def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            f"https://{_bracketed(self.address.host)}:{self.address.port}",
            connector=aiohttp.TCPConnector(
                limit=1,
                ssl=self.tls,
                keepalive_timeout=SESSION_LENGTH,
                use_dns_cache=False,
                enable_cleanup_closed=_CLOSING_HANGS,
            ),
            timeout=aiohttp.ClientTimeout(total=self.request_timeout, connect=self.connect_timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[_tracing()],
            middlewares=(_once,),
        )


def decode(reply: type[ReplyT], status: int, body: bytes) -> ReplyT | errors.ClientError:
    """What an answer says."""
    try:
        if status >= _REFUSED:
            return errors.refusal(status, msgspec.json.decode(body, type=ErrorBody).error)
        if status < _REDIRECTED:
            return msgspec.json.decode(b"{}" if reply is Nothing else body, type=reply)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return errors.UnexpectedAnswerError(f"the answer (HTTP {status}) is not as agreed: {error}")
    return errors.UnexpectedAnswerError(f"HTTP {status} is not an answer of this API")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


async def _once(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Without this, aiohttp silently sends a GET again; ours are counted, timed and repeated by the session."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError(str(error)) from error


def _tracing() -> aiohttp.TraceConfig:
    config = aiohttp.TraceConfig()
    config.on_connection_create_start.append(_connecting)
    config.on_connection_create_end.append(_connected)
    config.on_connection_reuseconn.append(_reused)
    return config


async def _connecting(_: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.began = time.perf_counter()


async def _connected(_: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    progress: _Progress = context.trace_request_ctx
    progress.connect = time.perf_counter() - progress.began
    progress.connected = True


async def _reused(_: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.connected = True
