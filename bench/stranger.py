"""A stranger without a certificate, from one address: ClientHellos with made-up names, and halves of ClientHellos.

Nothing it does needs a key. It reads no answer and finishes no handshake; a connection is closed after `HELD` seconds.
"""

import asyncio
import contextlib
import itertools
import ssl
from dataclasses import dataclass
from typing import Final

from smartgrid_client.schedule import Schedule, ticks

ADDRESS: Final = "127.66.66.66"
"""On the loopback interface, so that it is nobody else's; platforms that count by address count it apart."""
HELD: Final = 2.0
"""Seconds; longer than a reservation is exclusive, so every made-up name holds a server for as long as it may."""
_CONNECT: Final = 2.0
"""Seconds for a TCP connection; a stranger is in no hurry, but does not pile up."""


@dataclass(slots=True)
class Sent:
    """What the stranger did so far."""

    hellos: int = 0
    halves: int = 0
    refused: int = 0
    """Connections that were not accepted, or closed before anything was sent."""


class Stranger:
    """Connections to one load balancer at a steady rate."""

    def __init__(self, host: str, port: int, rate: float, *, half: int = 0) -> None:
        """`rate` connections a second; one in `half` of them sends half a ClientHello (0: none does)."""
        self.sent = Sent()
        self._host = host
        self._port = port
        self._rate = rate
        self._half = half
        self._numbers = itertools.count(1)

    async def run(self, stop: asyncio.Event) -> None:
        """Connect until `stop`; then every connection is closed."""
        now = asyncio.get_running_loop().time()
        schedule = Schedule(now, 1 / self._rate, float("inf"))
        async with asyncio.TaskGroup() as group:
            async for _ in ticks(schedule, stop):
                number = next(self._numbers)
                half = bool(self._half) and number % self._half == 0
                group.create_task(self._connect(f"made-up-{number}", stop, half=half))

    async def _connect(self, name: str, stop: asyncio.Event, *, half: bool) -> None:
        hello = client_hello(name)
        try:
            async with asyncio.timeout(_CONNECT):
                _, writer = await asyncio.open_connection(
                    self._host, self._port, local_addr=(ADDRESS, 0)
                )
        except (OSError, TimeoutError):
            self.sent.refused += 1
            return
        try:
            writer.write(hello[: len(hello) // 2] if half else hello)
            self.sent.halves += half
            self.sent.hellos += not half
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HELD):
                    await stop.wait()
        finally:
            if writer.transport is not None:
                writer.transport.abort()


def client_hello(name: str) -> bytes:
    """The first message of a TLS handshake with this server name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    outgoing = ssl.MemoryBIO()
    handshake = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        handshake.do_handshake()
    return outgoing.read()
