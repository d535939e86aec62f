"""What ties evidence to a key, a moment and a connection: a small map whose hash is in the evidence.

A quote carries 64 bytes of the process's choice. The process puts SHA-256 of a CBOR map (the claims bytes) into the
first 32 of them and sends the map along:

    pubkey-hash   bytes: CBOR [algorithm, hash of the key's SubjectPublicKeyInfo]    always
    nonce         bytes: the verifier's challenge                                    shows that evidence is fresh
    tls-binder    bytes: exported from the TLS connection (RFC 8446, 7.5)            shows whose connection it is
    instance      text: which server process this is                                 tells equal code apart

The map and its key `pubkey-hash` are those of Interoperable RA-TLS (Gramine, Intel SGX SDK, RATS-TLS), hash algorithms
are IANA's Named Information numbers; the other keys are ours, and unknown ones are let through.

Invariants: the hash is compared over the bytes as received, never over a new encoding of them. Hashes and nonces are
compared in constant time. The 32 bytes of report data after the hash are not looked at; ours are zeros.

Not promised: this module believes the report data that it is given; they must come from `attestation.verify`. Evidence
without nonce says nothing about when, and evidence without binder nothing about which connection: it can be relayed.
"""

import hashlib
import hmac
import io
from typing import Final, TypeVar

import cbor2
from msgspec import Struct

from attestation.errors import (
    BindingError,
    ClaimsMismatchError,
    OtherInstanceError,
    OtherKeyError,
    StaleNonceError,
    WrongBinderError,
)
from attestation.evidence import REPORT_DATA_SIZE

MAX_SIZE: Final = 4096
"""Of the claims bytes; ours have about 200."""
_SHA256: Final = 1
_HASHES: Final = {_SHA256: hashlib.sha256, 7: hashlib.sha384, 8: hashlib.sha512}
"""https://www.iana.org/assignments/named-information (hash algorithm registry)."""
_MAX_DEPTH: Final = 4
_T = TypeVar("_T")


class Binding(Struct, frozen=True, kw_only=True):
    """What a process ties its evidence to."""

    pubkey_hash: bytes
    """Of the SubjectPublicKeyInfo in DER."""
    algorithm: int = _SHA256
    nonce: bytes | None = None
    tls_binder: bytes | None = None
    instance: str | None = None

    @classmethod
    def of_key(
        cls,
        public_key: bytes,
        *,
        nonce: bytes | None = None,
        tls_binder: bytes | None = None,
        instance: str | None = None,
    ) -> "Binding":
        """`public_key`: SubjectPublicKeyInfo in DER."""
        digest = hashlib.sha256(public_key).digest()
        return cls(pubkey_hash=digest, nonce=nonce, tls_binder=tls_binder, instance=instance)

    def claims(self) -> bytes:
        """The claims bytes: the same for the same binding (deterministic CBOR)."""
        entries = {
            "pubkey-hash": cbor2.dumps([self.algorithm, self.pubkey_hash]),
            "nonce": self.nonce,
            "tls-binder": self.tls_binder,
            "instance": self.instance,
        }
        said = {key: value for key, value in entries.items() if value is not None}
        return cbor2.dumps(said, canonical=True)

    def is_of(self, public_key: bytes) -> bool:
        """Whether the key with this SubjectPublicKeyInfo (DER) is meant."""
        digest = _HASHES[self.algorithm](public_key).digest()
        return hmac.compare_digest(digest, self.pubkey_hash)


def report_data(claims: bytes) -> bytes:
    """The 64 bytes that go into the evidence: SHA-256 of the claims bytes, then zeros."""
    return hashlib.sha256(claims).digest().ljust(REPORT_DATA_SIZE, b"\0")


def parse(claims: bytes) -> Binding:
    """The binding that claims bytes say; proves nothing yet.

    Raises:
        BindingError: they are not such a map.
    """
    if len(claims) > MAX_SIZE:
        raise BindingError(f"claims of {len(claims)} bytes: at most {MAX_SIZE} are read")
    entries = decode_cbor(claims)
    if not isinstance(entries, dict):
        raise BindingError("claims are a CBOR map; these are something else")
    algorithm, digest = _key_hash(_entry(entries, "pubkey-hash", bytes))
    return Binding(
        pubkey_hash=digest,
        algorithm=algorithm,
        nonce=_entry(entries, "nonce", bytes),
        tls_binder=_entry(entries, "tls-binder", bytes),
        instance=_entry(entries, "instance", str),
    )


def check(
    claims: bytes,
    attested: bytes,
    *,
    public_key: bytes,
    nonce: bytes | None,
    tls_binder: bytes | None,
    instance: str | None,
) -> Binding:
    """That verified evidence was made for this key, and for the nonce, connection and process that are given.

    None means that the caller has nothing to compare, and what the claims say there is not looked at.

    Args:
        claims: the claims bytes that came with the evidence
        attested: `Claims.report_data` of the verified evidence
        public_key: of the peer, SubjectPublicKeyInfo in DER
        nonce: what this verifier sent as a challenge, for this evidence alone
        tls_binder: what this end exported from the connection
        instance: the process that this should be

    Raises:
        BindingError: one of these differs; the subclass says which.
    """
    if not hmac.compare_digest(report_data(claims)[:32], attested[:32]):
        raise ClaimsMismatchError(
            "the claims are not the attested ones: evidence and claims were mixed; refuse the peer"
        )
    said = parse(claims)
    if not said.is_of(public_key):
        raise OtherKeyError(
            "the evidence is about another key than the peer's: it was copied or relayed; refuse the peer"
        )
    if not _same(said.nonce, nonce):
        raise StaleNonceError(
            "the evidence does not answer this challenge: ask for new evidence, with a new challenge"
        )
    if not _same(said.tls_binder, tls_binder):
        raise WrongBinderError(
            "the evidence was made for another connection: somebody may be in between; refuse the peer"
        )
    if instance is not None and said.instance != instance:
        raise OtherInstanceError(
            f"the evidence is about process {said.instance!r}, not {instance!r}: connect again"
        )
    return said


def decode_cbor(raw: bytes) -> object:
    """The one CBOR item that is exactly `raw`.

    Raises:
        BindingError: something else, or duplicate keys, or needlessly deep.
    """
    stream = io.BytesIO(raw)
    decoder = cbor2.CBORDecoder(  # noqa: TID251
        stream, max_depth=_MAX_DEPTH, allow_duplicate_keys=False, allow_indefinite=False
    )
    try:
        item = decoder.decode()
    except (cbor2.CBORError, ValueError, TypeError) as error:
        raise BindingError(f"not CBOR as it is used here: {error}") from error
    if stream.tell() != len(raw):
        raise BindingError(f"{len(raw) - stream.tell()} bytes follow the CBOR item")
    return item


def _entry(entries: dict[object, object], key: str, kind: type[_T]) -> _T | None:
    value = entries.get(key)
    if value is not None and not isinstance(value, kind):
        raise BindingError(f"claim {key} is not of type {kind.__name__}")
    return value


def _key_hash(raw: bytes | None) -> tuple[int, bytes]:
    if raw is None:
        raise BindingError("the claims do not name a key (pubkey-hash)")
    match decode_cbor(raw):
        case [int(algorithm), bytes(digest)] if algorithm in _HASHES:
            return algorithm, digest
    raise BindingError(
        f"pubkey-hash is not [algorithm, hash] with an algorithm of {sorted(_HASHES)}"
    )


def _same(said: bytes | None, wanted: bytes | None) -> bool:
    return wanted is None or (said is not None and hmac.compare_digest(said, wanted))
