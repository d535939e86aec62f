"""What a client sends and what a backend answers: pure.

The ClientHello is made by the TLS library with the settings of the platform's clients, once per user. The answer is
one handshake record as long as a ServerHello; refusals of the load balancer are alert records, so they cannot be
mistaken for it. A backend that was asked for a user who is not its own says so in one byte.
"""

import contextlib
import ssl
import struct
from collections.abc import Iterable
from typing import Final

_RECORD_HEADER: Final = 5
_ALERT: Final = 21
_HANDSHAKE: Final = 22
_VERSION: Final = 0x0303
_LENGTH: Final = 122
"""Of a ServerHello with one x25519 share."""
_SERVER_HELLO: Final = 2
_NOT_MINE: Final = 255


def _record(first: int) -> bytes:
    body = bytes([first]).ljust(_LENGTH, b"\0")
    return struct.pack(">BHH", _HANDSHAKE, _VERSION, len(body)) + body


RIGHT: Final = _record(_SERVER_HELLO)
"""The answer of the user's own backend."""
MISROUTED: Final = _record(_NOT_MINE)
"""The answer of another one; it is as long."""


def user(number: int) -> str:
    return f"user-{number}"


def client_hellos(uids: Iterable[str]) -> list[bytes]:
    """For each user a TLS 1.3 ClientHello that asks for their server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return [_client_hello(context, uid) for uid in uids]


def _client_hello(context: ssl.SSLContext, uid: str) -> bytes:
    sent = ssl.MemoryBIO()
    begun = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=uid)
    with contextlib.suppress(ssl.SSLWantReadError):  # for there is nobody who answers
        begun.do_handshake()
    return sent.read()


def server_name(uid: str) -> bytes:
    """The extension of a ClientHello that names the user (RFC 6066, section 3)."""
    length = len(uid)
    return struct.pack(">HHHBH", 0, length + 5, length + 3, 0, length) + uid.encode("ascii")


def is_whole(received: bytes) -> bool:
    """Whether a first record has come to its end."""
    if len(received) < _RECORD_HEADER:
        return False
    return len(received) >= _RECORD_HEADER + int.from_bytes(received[3:_RECORD_HEADER], "big")


def is_alert(received: bytes) -> bool:
    return received[:1] == bytes([_ALERT])
