"""How aiohttp is used: one connection, no cookies, nothing sent twice by itself, and told how far a request has come.

A request that may not open a connection is stopped before one is opened (`smartgrid_client.verified`).
"""

import ssl
import sys
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Final

import aiohttp

from smartgrid_client.verified import PeerConnector, UnverifiedConnectionError
from standby.deadlines import SESSION_LENGTH

MOST_EVIDENCE: Final = 1 << 18
"""Bytes of the answer to a challenge; evidence and collateral have about 20,000."""
MOST: Final = 1 << 26
"""Bytes of any other answer; 10,000 alarms or buckets have about 600,000."""
_CLOSING_HANGS: Final = sys.version_info < (3, 12, 7)
"""Until then asyncio can leave a TLS transport open for ever whose other side has gone in the middle of closing; with
this, aiohttp aborts it. (3.13.0 has the same fault, and is not worth a rule.)"""


@dataclass(slots=True)
class Progress:
    """How far one request has come, told by aiohttp's tracing."""

    may_open: bool = True
    """Whether it may be the first request on a connection."""
    began: float = 0.0
    connect: float = 0.0
    connected: bool = False


def session(
    host: str, port: int, connector: type[PeerConnector], tls: ssl.SSLContext
) -> aiohttp.ClientSession:
    """A session with at most one connection, which is opened by the first request that may."""
    return aiohttp.ClientSession(
        f"https://{_bracketed(host)}:{port}",
        connector=connector(
            limit=1,
            ssl=tls,
            keepalive_timeout=SESSION_LENGTH,
            use_dns_cache=False,
            enable_cleanup_closed=_CLOSING_HANGS,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[_tracing()],
        middlewares=(_once,),
    )


def headers(host: str, token: str | None) -> dict[str, str]:
    said = {"Host": host, "Content-Type": "application/json"}
    return said if token is None else {**said, "Authorization": f"Bearer {token}"}


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
    progress: Progress = context.trace_request_ctx
    if not progress.may_open:
        raise UnverifiedConnectionError
    progress.began = time.perf_counter()


async def _connected(_: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    progress: Progress = context.trace_request_ctx
    progress.connect = time.perf_counter() - progress.began
    progress.connected = True


async def _reused(_: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.connected = True
