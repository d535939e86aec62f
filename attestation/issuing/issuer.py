"""Who may have a certificate, and the certificate: the wrapper's side of the exchange in `attestation.issuing`.

A judgement goes one way only: the nonce is used up, the evidence appraised, the verdict put into the audit log, the
certificate signed. Where a step fails the later ones do not happen, so there is no certificate whose verdict is not in
the log, and no proof that is looked at twice. What went wrong is an answer, not an exception: `Refused`.

A nonce belongs to one process, is good for one proof and for `NONCE_LIFETIME`, and is replaced by the process's next.
Whatever comes, the process's nonce is gone after its proof; the one that the proof carries decides nothing about which
is used up. So there is at most one for each process, and one that was seen on the way cannot be used elsewhere.

The authority's name says under which policy it signs, and an issuer refuses an authority of another name. So a change
of policy needs a new authority, and by the chain of a certificate everybody sees which policy admitted its server.

Not promised: certificates are not taken back. One that was issued counts until it ends, at most `LIFETIME` later.
"""

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from msgspec import Struct

from attestation import extension, verdicts
from attestation.appraisal import Appraised, Shown, appraise
from attestation.audit import AuditError, AuditLog
from attestation.claims import Root
from attestation.collateral import Collateral
from attestation.errors import (
    AttestationError,
    IssuerEndedError,
    NoEvidenceError,
    NotAdmittedError,
    UnusableKeyError,
)
from attestation.issuing.messages import Issued, Proof, Refused
from attestation.issuing.nonces import Nonces
from attestation.policy import digest
from attestation.signed_policy import SignedPolicy
from attestation.trust import Trust
from attestation.verdicts import Verdict
from standby import logs, pki
from standby.errors import PlatformError
from standby.identity import Identity, Role
from standby.ids import BootId, Uid

LIFETIME: Final = dt.timedelta(minutes=30)
"""Of a certificate: how long a server that should not have one any more can go on."""
_SPKI: Final = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
_SHOWN_DIGITS: Final = 10
"""Of a policy's digest in a common name, which has at most 64 bytes (RFC 5280, ub-common-name)."""


def authority_name(trust: Trust | None) -> str:
    """The common name of an authority that signs under this policy; None: for servers that prove nothing."""
    if trust is None:
        return "standby servers issuer, not attested"
    simulated = "SIMULATED " if Root.SIMULATED in {trust.root.name, trust.policy.root} else ""
    short = digest(trust.policy)[:_SHOWN_DIGITS]
    return f"standby servers issuer, {simulated}policy {trust.policy.version} ({short})"


class Judged(Struct, frozen=True):
    answer: Issued | Refused
    """Counts: there may be none but a refusal even for a verdict that admits, if it could not be logged or signed."""
    verdict: Verdict | None
    """None: attestation is off."""


class Issuer:
    """For servers that prove what they are; threads may share it."""

    def __init__(
        self,
        authority: pki.Authority,
        trust: Trust,
        collateral: Callable[[float], Collateral],
        audit: AuditLog,
        clock: Callable[[], float] = time.time,
        newest_policy: Callable[[], SignedPolicy | None] = lambda: None,
    ) -> None:
        """`collateral` gives that for the servers' platform at a time in Unix seconds, or raises `CollateralError`.

        `newest_policy` is for clients, passed on by servers; verdicts go by `trust` alone.

        Raises:
            ValueError: the authority was made for another policy, or cannot have authorities below it.
        """
        _check(authority, trust)
        self._authority = authority
        self._trust = trust
        self._collateral = collateral
        self._audit = audit
        self._clock = clock
        self._newest_policy = newest_policy
        self._nonces = Nonces()

    def challenge(self, instance: BootId) -> bytes:
        """A nonce for the process's next proof, in place of an earlier one."""
        return self._nonces.give(instance, self._clock())

    def judge(self, instance: BootId, proof: Proof) -> Judged:
        """The answer to a proof; its verdict is on disk before there is one. Blocks for some milliseconds."""
        now, policy = self._clock(), self._trust.policy
        try:
            appraised, admitted = self._appraise(instance, proof, now)
        except NotAdmittedError as error:
            verdict = verdicts.of_claims(policy, error.claims, error.decision, instance, now)
            return self._refuse(verdict, error)
        except AttestationError as error:
            return self._refuse(verdicts.of_error(policy, error, instance, now), error)
        verdict = verdicts.of_claims(policy, *appraised, instance, now)
        try:
            self._audit.append(verdict)
            chain = _certify(self._authority, instance, admitted, now)
        except PlatformError as error:
            return Judged(_refused(error), verdict)
        return Judged(Issued(chain, admitted.collateral, self._newest_policy()), verdict)

    def forget(self, instance: BootId) -> None:
        """The process has ended."""
        self._nonces.forget(instance)

    def _appraise(
        self, instance: BootId, proof: Proof, now: float
    ) -> tuple[Appraised, "_Admitted"]:
        given = self._nonces.take(instance, now)
        key = _public_key(proof.public_key)
        if proof.evidence is None:
            raise NoEvidenceError("the server shows no evidence, and the policy asks for some")
        collateral = self._collateral(now)
        appraised = appraise(
            self._trust,
            Shown(proof.evidence, proof.claims, proof.public_key),
            collateral,
            nonce=given.nonce,
            made_at=given.at,
            now=now,
            instance=instance,
        )
        shown = extension.made(proof.evidence, proof.claims)
        return appraised, _Admitted(key, collateral.to_json(), (shown,))

    def _refuse(self, verdict: Verdict, why: PlatformError) -> Judged:
        try:
            self._audit.append(verdict)
        except AuditError as error:
            why = error
        return Judged(_refused(why), verdict)


class Unattested:
    """For servers that prove nothing: the same exchange, and certificates without evidence."""

    def __init__(self, authority: pki.Authority, clock: Callable[[], float] = time.time) -> None:
        """An issuer for a wrapper where attestation is off.

        Raises:
            ValueError: the authority was made for a policy, or cannot have authorities below it.
        """
        _check(authority, None)
        self._authority = authority
        self._clock = clock
        self._nonces = Nonces()

    def challenge(self, instance: BootId) -> bytes:
        return self._nonces.give(instance, self._clock())

    def judge(self, instance: BootId, proof: Proof) -> Judged:
        now = self._clock()
        try:
            self._nonces.take(instance, now)
            admitted = _Admitted(_public_key(proof.public_key))
            chain = _certify(self._authority, instance, admitted, now)
        except AttestationError as error:
            return Judged(_refused(error), None)
        return Judged(Issued(chain, None), None)

    def forget(self, instance: BootId) -> None:
        self._nonces.forget(instance)


@dataclass(frozen=True)
class _Admitted:
    """What goes into the certificate, and what is said beside it."""

    key: pki.PublicKey
    collateral: bytes | None = None
    extensions: tuple[x509.ExtensionType, ...] = ()


def _check(authority: pki.Authority, trust: Trust | None) -> None:
    expected, certificate = authority_name(trust), authority.certificate
    names = [each.value for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [expected]:
        raise ValueError(
            f"the issuing authority is {names}, for this policy it has to be {expected!r}: make one for it"
        )
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    if constraints.path_length == 0:
        raise ValueError(
            f"{expected!r} may not have authorities below it: make it with path length 1"
        )


def _public_key(der: bytes) -> pki.PublicKey:
    """The key, if its certificate will say it in the same bytes: clients hash these.

    Raises:
        UnusableKeyError: another kind of key, or written in another way.
    """
    try:
        key = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnusableKeyError("the server's public key cannot be read: send it as DER") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise UnusableKeyError("the server's key is not one on curve P-256: make such a key")
    if key.public_bytes(*_SPKI) != der:
        raise UnusableKeyError("the server's public key is to be sent as an uncompressed point")
    return key


def _certify(
    authority: pki.Authority, instance: BootId, admitted: _Admitted, now: float
) -> tuple[bytes, ...]:
    """The chain in DER, the process's own authority first, without the root.

    Raises:
        IssuerEndedError: `authority` has no valid certificate any more.
    """
    end = authority.certificate.not_valid_after_utc
    if end.timestamp() <= now:
        raise IssuerEndedError(f"the issuing certificate ended at {end}: start the wrapper again")
    certificate = authority.certify(
        admitted.key,
        Identity(Role.INSTANCE, Uid(instance)),
        pki.Usage(server=True),
        LIFETIME,
        admitted.extensions,
    )
    chain = (certificate, *authority.chain)
    return tuple(each.public_bytes(serialization.Encoding.DER) for each in chain)


def _refused(error: PlatformError) -> Refused:
    return Refused.because(error.code, str(logs.scrub("error", str(error))))
