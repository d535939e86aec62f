"""What a server and its wrapper say over the channel between them: one request, one answer, then the next.

The channel is a pair of connected sockets (AF_UNIX, SOCK_SEQPACKET); a server inherits one end. Who has the end is the
server that the wrapper started with it, so no message names its sender. One packet is one message in MessagePack.

Every request is answered; `Refused` may answer any. An end that breaks these rules loses the channel: nothing is asked
for twice over a channel on which an answer was missed. A packet that is not exactly one of these messages, with every
value within the bound of its type, breaks them.
"""

from enum import StrEnum
from typing import Annotated, Final, Self

import msgspec
from msgspec import Meta, Struct

from attestation.binding import MAX_SIZE as LONGEST_CLAIMS
from attestation.evidence import REPORT_DATA_SIZE, Evidence
from attestation.signed_policy import SignedPolicy
from standby import decode
from standby.hardening.plan import Layer
from standby.hardening.report import Outcome
from standby.ids import GenerationField, UidField
from standby.messages import MESSAGE_LENGTH, ErrorCode
from standby.text import printable, sentence

LONGEST: Final = 1 << 17
"""Bytes of a packet; a chain with evidence, collateral and policy has about 20,000."""
_DIGEST: Final = 32
_NONCE: Final = 64
_CHAIN: Final = 8
"""Certificates; ours have three."""
NONCE_SIZE: Final = 32
"""Bytes of a nonce for LOGIN."""
LONGEST_CERTIFICATE: Final = 8192
"""Bytes of a user's certificate; ours have about 500."""
_SIGNATURE: Final = 80
"""Bytes of an ECDSA signature on P-256 in DER: 72 at most."""


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

    hardening: dict[Layer, Outcome] = {}
    """What the process says that it gave up; shown to operators. Empty: nothing."""


class Proof(Struct, frozen=True, tag="proof"):
    """The answer to a challenge; the server asks with it for its certificate."""

    public_key: Annotated[bytes, Meta(max_length=1024)]
    """SubjectPublicKeyInfo in DER."""
    claims: Annotated[bytes, Meta(max_length=LONGEST_CLAIMS)]
    """See `attestation.binding`: bound to the key, the nonce and the process."""
    evidence: Evidence | None
    """None with `Source.NOBODY`."""


class QuoteWanted(Struct, frozen=True, tag="quote"):
    """Evidence about the server that sends this, for a client's challenge or a proof."""

    report_data: Annotated[bytes, Meta(min_length=REPORT_DATA_SIZE, max_length=REPORT_DATA_SIZE)]


class Bind(Struct, frozen=True, tag="bind"):
    """A user has shown their certificate: the server reads this user's requests from now on, and no other user's.

    It is sent before the first byte of a request is read.
    """

    uid: UidField


class LoginProof(Struct, frozen=True, tag="login_proof"):
    """The proof of the user to whom the server is bound (`attestation.login_proof`); it comes before `LOGIN <uid>`."""

    certificate: Annotated[bytes, Meta(min_length=1, max_length=LONGEST_CERTIFICATE)]
    """The user's, in DER, as TLS has shown it to the server."""
    signature: Annotated[bytes, Meta(min_length=1, max_length=_SIGNATURE)]


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


Request = Begin | Proof | QuoteWanted | Bind | LoginProof | LastSeen | Opened | Left


class Challenge(Struct, frozen=True, tag="challenge"):
    nonce: Annotated[bytes, Meta(min_length=16, max_length=_NONCE)]
    """To be bound into the claims; good for one proof of this process."""
    source: Source


class Issued(Struct, frozen=True, tag="issued"):
    chain: Annotated[
        tuple[Annotated[bytes, Meta(max_length=LONGEST)], ...], Meta(max_length=_CHAIN)
    ]
    """In DER, without the root; the first is this process's own authority."""
    collateral: Annotated[bytes, Meta(max_length=LONGEST)] | None
    """What clients need to verify evidence of this platform, as JSON (`attestation.collateral`)."""
    policy: SignedPolicy | None = None
    """The newest that the platform has, for clients; it has no meaning for the server."""


class Refused(Struct, frozen=True, tag="refused"):
    code: ErrorCode
    text: Annotated[str, sentence(MESSAGE_LENGTH)]

    @classmethod
    def because(cls, code: str, text: str) -> Self:
        """A refusal whose text fits, whatever it was made from."""
        return cls(code, printable(text, MESSAGE_LENGTH))


class Quoted(Struct, frozen=True, tag="quoted"):
    evidence: Evidence


class Bound(Struct, frozen=True, tag="bound"):
    """The process is this user's."""

    nonce: Annotated[bytes, Meta(min_length=NONCE_SIZE, max_length=NONCE_SIZE)]
    """For the user's proof; good for one LOGIN of this process."""


class Proved(Struct, frozen=True, tag="proved"):
    """The wrapper knows that the user is there, and takes the server's LOGIN for this user now."""


class Record(Struct, frozen=True):
    """The last that is known of a user's database."""

    generation: GenerationField
    """Of the claim under which it was opened or closed."""
    tag: Annotated[bytes, Meta(min_length=_DIGEST, max_length=_DIGEST)] | None
    """None: it was opened and never closed, so nothing can be said about what it should be."""


class Seen(Struct, frozen=True, tag="seen"):
    record: Record | None
    """None: nobody has opened it here yet."""


class Kept(Struct, frozen=True, tag="kept"):
    """It is on disk."""


Answer = Challenge | Issued | Refused | Quoted | Bound | Proved | Seen | Kept


def encode(message: Request | Answer) -> bytes:
    return msgspec.msgpack.encode(message)


def read_request(packet: bytes) -> Request:
    """What a server asks.

    Raises:
        UnreadableError: the packet holds no request.
    """
    request: Request = decode.packet(packet, Request)
    return request


def read_answer(packet: bytes) -> Answer:
    """What a wrapper answers.

    Raises:
        UnreadableError: the packet holds no answer.
    """
    answer: Answer = decode.packet(packet, Answer)
    return answer
