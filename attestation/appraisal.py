"""Whether a peer may have secrets: evidence verified, bound to the peer's key and decided by the policy, in this order.

This is the only place that puts the three together. Whoever issues certificates and whoever connects to a server both
call it, so neither can leave one of the three out: true evidence of somebody else's key, or of a program that the
policy does not name, is worth nothing.
"""

from typing import NamedTuple

from msgspec import Struct

from attestation import binding, policy
from attestation.claims import Claims
from attestation.collateral import Collateral
from attestation.errors import NotAdmittedError
from attestation.evidence import Evidence
from attestation.trust import Trust
from attestation.verify import verify

__all__ = ["Appraised", "NotAdmittedError", "Shown", "appraise"]


class Shown(Struct, frozen=True):
    """What a peer shows; nothing of it is believed yet."""

    evidence: Evidence
    claims: bytes
    public_key: bytes
    """SubjectPublicKeyInfo in DER: of the key that the peer proved to have, or asks to be certified."""


class Appraised(NamedTuple):
    """A peer that may have secrets."""

    claims: Claims
    decision: policy.Decision


def appraise(
    trust: Trust,
    shown: Shown,
    collateral: Collateral,
    *,
    nonce: bytes,
    made_at: float,
    now: float,
    instance: str | None = None,
) -> Appraised:
    """What the evidence says about a peer that may have secrets, and by what the policy admits it.

    Args:
        trust: whom the verifier believes, and what it asks for
        shown: by the peer
        collateral: for the peer's platform, from anywhere
        nonce: the verifier's challenge, for this evidence alone
        made_at: when the nonce was given out, so the evidence is not older; Unix seconds
        now: Unix seconds, by the same clock
        instance: the process that it should be; None: any

    Raises:
        NotAdmittedError: everything is true, and not what the policy asks for.
        AttestationError: something is not true, or is about something else.
    """
    claims = verify(shown.evidence, collateral, trust.root, now, made_at=made_at)
    binding.check(
        shown.claims,
        claims.report_data,
        public_key=shown.public_key,
        nonce=nonce,
        tls_binder=None,
        instance=instance,
    )
    decision = policy.decide(trust.policy, claims, now)
    if not decision.admitted:
        raise NotAdmittedError(claims, decision)
    return Appraised(claims, decision)
