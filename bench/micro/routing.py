"""What the hook adds to a new connection: TCP, mutual TLS, one small request, its answer.

The same servers answer through two load balancers, one with the hook and one with a static map. `reconnect` is a user
with a session, who is sent there by what HAProxy remembers; `first` is a user without one, for whom the Routing Manager
is asked each time. The client is blocking code without an event loop, so that little of what is measured is its own.
"""

import asyncio
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Final

import aiohttp
from msgspec import Struct

from bench.micro.balancer import static_balancer
from bench.micro.stage import Scale, Stage, in_turns, milliseconds_since, staged
from bench.spread import Spread, ratio, spread

_POOL: Final = 2
_KINDS: Final = {"reconnect": "anna", "first": "bert"}
"""And whose connections these are."""
_CONNECTIONS: Final = 5
"""Of each variant in a round."""
_NO_HURRY: Final = {"SMARTGRID_LOGIN_DEADLINE": "3600", "APP_WRAPPER_BOUND_LOGIN": "3600"}
"""Bert never logs in, and his server stays all the same: its place is in the static map."""


class Routing(Struct, frozen=True, kw_only=True):
    connection_ms: dict[str, dict[str, Spread]]
    """By kind of user, then by `hook` or `static`."""
    route_ratio: dict[str, float]
    """By kind of user: median through the hook ÷ median through the static map."""


@dataclass(frozen=True)
class Probe:
    """One connection with one request."""

    port: int
    uid: str
    tls: ssl.SSLContext
    token: str

    async def __call__(self) -> float:
        """Milliseconds from connecting to the answer."""
        request = (
            f"GET /v1/alarms?limit=1 HTTP/1.1\r\nHost: {self.uid}\r\n"
            f"Authorization: Bearer {self.token}\r\nConnection: close\r\n\r\n"
        ).encode()
        began = time.perf_counter()
        with (
            _connected(self.port) as raw,
            self.tls.wrap_socket(raw, server_hostname=self.uid) as connection,
        ):
            connection.sendall(request)
            answer = connection.recv(1 << 16)
            taken = milliseconds_since(began)
        if not answer.startswith(b"HTTP/1.1 "):
            raise RuntimeError("a server did not answer")
        return taken


def _connected(port: int) -> socket.socket:
    raw = socket.create_connection(("127.0.0.1", port))
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return raw


def measure(scale: Scale) -> Routing:
    with staged(["--pool-size", str(_POOL)], list(_KINDS.values()), _NO_HURRY) as stage:
        taken = asyncio.run(_measure(stage, scale.rounds * _CONNECTIONS))
    spreads = {
        kind: {way: spread(taken[f"{kind} {way}"]) for way in ("hook", "static")} for kind in _KINDS
    }
    return Routing(
        connection_ms=spreads,
        route_ratio={kind: ratio(by["hook"].p50, by["static"].p50) for kind, by in spreads.items()},
    )


async def _measure(stage: Stage, rounds: int) -> dict[str, list[float]]:
    known = _KINDS["reconnect"]
    async with aiohttp.ClientSession() as session, stage.client(known) as client:
        token = (await client.login(stage.access(known).key())).token
        await stage.until_active(session)
        await stage.until_full(session, _POOL - 1)
        instances = (await stage.state(session)).instances
        places = {each.user or _KINDS["first"]: (each.address, each.port) for each in instances}
        async with static_balancer(places) as static_port:
            probes = {
                f"{kind} {way}": Probe(port, uid, stage.access(uid).credentials.context, token)
                for kind, uid in _KINDS.items()
                for way, port in (("hook", stage.running.lb.port), ("static", static_port))
            }
            taken = await in_turns(probes, rounds)
        await client.logout()
        return taken
