"""Whether a server still answers, asked in a way that costs next to nothing and needs no certificate.

A process can hang without ending: its kernel goes on to accept connections, and its user would be sent there until the
session's end. So a TLS server is sent a ClientHello that names nobody. What it does about that does not matter, an
alert or closing the connection will do: only a process whose event loop turns can do anything at all.

Not promised: that a server which answers also serves; its storage may hang, which is its own to notice. One missed
answer means nothing, as a machine may be busy or asleep for a while.
"""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from functools import cache
from typing import Final

TRIES: Final = 2
"""Missed answers in a row after which a server counts as hanging."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Durations in seconds."""

    interval: float
    answer: float

    async def until_silent(self, host: str, port: int) -> None:
        """Ask again and again; return once `TRIES` answers in a row were missed."""
        missed = 0
        while missed < TRIES:
            await asyncio.sleep(self.interval)
            missed = 0 if await answers(host, port, self.answer) else missed + 1


async def answers(host: str, port: int, deadline: float) -> bool:
    """Whether a TLS server there reacts to a ClientHello within `deadline` seconds."""
    try:
        async with asyncio.timeout(deadline):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(_hello())
                with contextlib.suppress(ConnectionError):
                    await reader.read(1)
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError):
        return False
    return True


@cache
def _hello() -> bytes:
    """A ClientHello without a server name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    outgoing = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()
