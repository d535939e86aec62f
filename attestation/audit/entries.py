"""An entry as it stands in the file: its bytes, its hash, its signature, and what can be wrong with it."""

import hashlib
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Self

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Meta, Struct

from standby import decode
from standby.decode import UnreadableError
from standby.ids import Count

LOG_FILE: Final = "audit.jsonl"
"""The segment that is being written."""
KEY_FILE: Final = "audit-public.pem"
LONGEST_LINE: Final = 64 * 1024
"""A verdict has some kilobytes; the limit bounds what a reader has to hold, and how far back the last line begins."""
_BEFORE_THE_FIRST: Final = "0" * 64
_HEAD: Final = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})")


class Head(Struct, frozen=True):
    """The end of a log at some time, as `sequence:hash`. Sequence 0 is the empty log's."""

    sequence: int
    hash: str

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The head written as `text`.

        Raises:
            ValueError: something else.
        """
        match = _HEAD.fullmatch(text)
        if match is None:
            raise ValueError("a head is a sequence number, a colon and 64 hex digits in lower case")
        return cls(int(match[1]), match[2])


EMPTY: Final = Head(0, _BEFORE_THE_FIRST)


class Outcome(StrEnum):
    """Of verifying a log: the first thing that is wrong with it."""

    FINE = "fine"
    TORN_END = "torn_end"
    """The last line is unfinished: a crash while writing, or a cut."""
    TRUNCATED = "truncated"
    """It ends before the head that is known."""
    UNREADABLE = "unreadable"
    """The file cannot be read, or a line is no entry at all."""
    MISSING = "missing"
    """Sequence numbers leave something out."""
    REWRITTEN = "rewritten"
    """Another entry stands where the known head was."""
    WRONG_SIGNER = "wrong_signer"
    ALTERED = "altered"


_Digest = Annotated[str, Meta(max_length=64)]


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    sequence: Annotated[int, Meta(ge=1, le=10**18 - 1)]
    """1, 2, 3, …"""
    previous: _Digest
    """Hash of the entry before."""
    at: Annotated[float, Meta(ge=-1e12, le=1e12)]
    """Unix seconds by the writer's clock."""
    signer: _Digest
    """SHA-256 of the public key's DER."""
    cut: Count
    """Bytes of an unfinished entry that stood here."""
    body: msgspec.Raw


class Edge(StrEnum):
    """Of a segment."""

    BEGUN = "begun"
    """Its first entry, but for the log's first segment: what came before is in another file."""
    CLOSED = "closed"
    """Its last entry: nothing was cut off."""


class Boundary(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of an entry with which a segment begins or ends."""

    segment: Edge


class Line(Struct, frozen=True, forbid_unknown_fields=True):
    entry: msgspec.Raw
    hash: _Digest
    signature: Annotated[str, Meta(max_length=128)]


class WrongEntryError(Exception):
    """A line is not what it should be."""

    def __init__(self, outcome: Outcome, text: str) -> None:
        super().__init__(text)
        self.outcome = outcome


def edge_of(entry: Entry) -> Edge | None:
    """Where the entry stands in its segment; None: somewhere between, or at the log's very beginning."""
    try:
        return decode.json(entry.body, Boundary).segment
    except UnreadableError:
        return None


def hash_of(entry: bytes) -> bytes:
    return hashlib.sha256(b"standby audit entry 1\n" + entry).digest()


def to_be_signed(digest: bytes) -> bytes:
    return b"standby audit hash 1\n" + digest


def signer_of(key: Ed25519PublicKey) -> str:
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(der).hexdigest()


def read_public_key(file: Path) -> Ed25519PublicKey:
    """The key with which a log is verified.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds something else than the PEM of an Ed25519 public key.
    """
    content = file.read_bytes()
    if b"-----BEGIN CERTIFICATE-----" in content:
        raise ValueError(f"{file} is a certificate, not the log's {KEY_FILE}")
    try:
        key = serialization.load_pem_public_key(content)
    except ValueError as error:
        raise ValueError(f"{file} does not hold a public key (PEM)") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(f"{file} does not hold an Ed25519 public key")  # noqa: TRY004  # a bad value
    return key


def read_line(line: bytes, key: Ed25519PublicKey) -> tuple[Entry, Head]:
    """What a finished line says, if it was written by the holder of the key.

    Raises:
        WrongEntryError: it was not, or is no entry.
    """
    try:
        found = decode.json(line, Line)
        entry = decode.json(found.entry, Entry)
        signature = bytes.fromhex(found.signature)
    except ValueError as error:
        raise WrongEntryError(Outcome.UNREADABLE, f"is no entry ({error})") from error
    digest = hash_of(bytes(found.entry))
    same = Line(found.entry, digest.hex(), signature.hex())
    if msgspec.json.encode(same) + b"\n" != line:
        raise WrongEntryError(
            Outcome.ALTERED, "is not what was written: its hash or its form differs"
        )
    if entry.signer != signer_of(key):
        raise WrongEntryError(Outcome.WRONG_SIGNER, "was signed with another key")
    try:
        key.verify(signature, to_be_signed(digest))
    except InvalidSignature as error:
        raise WrongEntryError(Outcome.ALTERED, "has a signature that does not fit") from error
    return entry, Head(entry.sequence, digest.hex())
