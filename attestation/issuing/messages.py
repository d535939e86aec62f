"""What a server and its wrapper say over the channel between them: one request, one answer, then the next.

The channel is a pair of connected sockets (AF_UNIX, SOCK_SEQPACKET); a server inherits one end. Who has the end is the
server that the wrapper started with it, so no message names its sender. One packet is one message in MessagePack.

Every request is answered; `Refused` may answer any. An end that breaks these rules loses the channel: nothing is asked
for twice over a channel on which an answer was missed.
"""

from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from attestation.evidence import Evidence
from standby.ids import GenerationField, UidField

LONGEST: Final = 1 << 17
"""Bytes of a packet; a chain with evidence and collateral has about 20,000."""
_REPORT_DATA: Final = 64
_DIGEST: Final = 32


class Source(StrEnum):
    """Who gives evidence about the server."""

    PLATFORM = "platform"
    """The wrapper's simulated platform, over this channel (`QuoteWanted`)."""
    GRAMINE = "gramine"
    """The files of Gramine inside the server's enclave."""
    NOBODY = "nobody"
    """Attestation is off: the certificate carries no evidence."""


class Begin(Struct, frozen=True, tag="begin"):
    """A certificate is wanted, for the first time or anew."""

    hardening: dict[str, str] = {}
    """What the process says that it gave up: outcome by layer (`standby.hardening`); shown to operators."""


class Proof(Struct, frozen=True, tag="proof"):
    """The answer to a challenge; the server asks with it for its certificate."""

    public_key: Annotated[bytes, Meta(max_length=1024)]
    """SubjectPublicKeyInfo in DER."""
    claims: Annotated[bytes, Meta(max_length=4096)]
    """See `attestation.binding`: bound to the key, the nonce and the process."""
    evidence: Evidence | None
    """None with `Source.NOBODY`."""


class QuoteWanted(Struct, frozen=True, tag="quote"):
    """Evidence about the server that sends this, for a client's challenge or a proof."""

    report_data: Annotated[bytes, Meta(min_length=_REPORT_DATA, max_length=_REPORT_DATA)]


class LastSeen(Struct, frozen=True, tag="last_seen"):
    """What is known of the user's database from the last time that somebody closed it?"""

    uid: UidField


class Opened(Struct, frozen=True, tag="opened"):
    """The database was as it should be and is changed from now on: what is known of it is out of date."""

    uid: UidField
    generation: GenerationField


class Left(Struct, frozen=True, tag="left"):
    """The database was closed and is like this."""

    uid: UidField
    generation: GenerationField
    tag: Annotated[bytes, Meta(min_length=_DIGEST, max_length=_DIGEST)]


Request = Begin | Proof | QuoteWanted | LastSeen | Opened | Left


class Challenge(Struct, frozen=True, tag="challenge"):
    nonce: bytes
    """To be bound into the claims; good for one proof of this process."""
    source: Source


class Issued(Struct, frozen=True, tag="issued"):
    chain: tuple[bytes, ...]
    """In DER, without the root; the first is this process's own authority."""
    collateral: bytes | None
    """What clients need to verify evidence of this platform, as JSON (`attestation.collateral`)."""


class Refused(Struct, frozen=True, tag="refused"):
    code: str
    text: str


class Quoted(Struct, frozen=True, tag="quoted"):
    evidence: Evidence


class Record(Struct, frozen=True):
    """The last that is known of a user's database."""

    generation: GenerationField
    """Of the claim under which it was opened or closed."""
    tag: bytes | None
    """None: it was opened and never closed, so nothing can be said about what it should be."""


class Seen(Struct, frozen=True, tag="seen"):
    record: Record | None
    """None: nobody has opened it here yet."""


class Kept(Struct, frozen=True, tag="kept"):
    """It is on disk."""


Answer = Challenge | Issued | Refused | Quoted | Seen | Kept

requests: Final = msgspec.msgpack.Decoder(Request)
answers: Final = msgspec.msgpack.Decoder(Answer)


def encode(message: Request | Answer) -> bytes:
    return msgspec.msgpack.encode(message)
