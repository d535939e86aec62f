"""Why evidence was not believed, with stable codes.

PlatformError
└── AttestationError (403)              attestation_failed
    ├── BadEvidenceError                bad_evidence              malformed, or a signature does not fit
    │   ├── NoEvidenceError             no_evidence               the certificate carries none
    │   └── UnknownFormatError          unknown_evidence_format
    ├── UntrustedRootError              untrusted_root
    ├── RevokedError                    revoked
    ├── TcbUnknownError                 tcb_unknown
    ├── DebugEnclaveError               debug_enclave
    ├── UnusableKeyError                unusable_key              the peer's key cannot be certified
    ├── NotAdmittedError                not_admitted              true, and not what the policy asks for
    ├── BindingError                    bad_binding               true evidence of something else
    │   ├── ClaimsMismatchError         claims_mismatch
    │   ├── OtherKeyError               other_key
    │   ├── StaleNonceError             stale_nonce
    │   ├── WrongBinderError            wrong_binder
    │   └── OtherInstanceError          other_instance
    ├── CollateralError (503)           bad_collateral            the verifier's own supply: renew it, try again
    │   ├── CollateralExpiredError      collateral_expired
    │   ├── CollateralNotYetValidError  collateral_not_yet_valid
    │   └── CollateralUnavailableError  collateral_unavailable
    ├── EvidenceUnavailableError (503)  evidence_unavailable      this process cannot get evidence of itself
    └── IssuerEndedError (503)          issuer_ended              there is nothing left to sign certificates with
"""

from typing import TYPE_CHECKING

from standby.errors import PlatformError

if (
    TYPE_CHECKING
):  # a server binds its evidence and judges none: it needs neither policies nor claims
    from attestation.claims import Claims
    from attestation.policy import Decision


class AttestationError(PlatformError):
    code = "attestation_failed"
    status = 403


class BadEvidenceError(AttestationError):
    """Not the bytes that a platform signed."""

    code = "bad_evidence"


class NoEvidenceError(BadEvidenceError):
    code = "no_evidence"


class UnknownFormatError(BadEvidenceError):
    code = "unknown_evidence_format"


class UntrustedRootError(AttestationError):
    """The chain of signatures does not end at the pinned root."""

    code = "untrusted_root"


class RevokedError(AttestationError):
    """The root's owner took its word for this platform back."""

    code = "revoked"


class TcbUnknownError(AttestationError):
    """The collateral has no status for the versions that the platform runs."""

    code = "tcb_unknown"


class DebugEnclaveError(AttestationError):
    """The host can read the enclave's memory."""

    code = "debug_enclave"


class UnusableKeyError(AttestationError):
    """A key of another kind than certificates are made for."""

    code = "unusable_key"


class NotAdmittedError(AttestationError):
    """The evidence is true, and the policy does not admit what it says."""

    code = "not_admitted"

    def __init__(self, claims: "Claims", decision: "Decision") -> None:
        super().__init__("; ".join(reason.text for reason in decision.reasons))
        self.claims = claims
        self.decision = decision


class BindingError(AttestationError):
    """The evidence is about something else than what it was shown for."""

    code = "bad_binding"


class ClaimsMismatchError(BindingError):
    """The claims are not those whose hash is in the evidence."""

    code = "claims_mismatch"


class OtherKeyError(BindingError):
    code = "other_key"


class StaleNonceError(BindingError):
    code = "stale_nonce"


class WrongBinderError(BindingError):
    """Evidence of another TLS connection."""

    code = "wrong_binder"


class OtherInstanceError(BindingError):
    """Evidence of another server process."""

    code = "other_instance"


class CollateralError(AttestationError):
    """What the verifier has to judge evidence by is not usable; this says nothing about the evidence."""

    code = "bad_collateral"
    status = 503
    retry = True


class CollateralExpiredError(CollateralError):
    code = "collateral_expired"


class CollateralNotYetValidError(CollateralError):
    code = "collateral_not_yet_valid"


class CollateralUnavailableError(CollateralError):
    code = "collateral_unavailable"


class EvidenceUnavailableError(AttestationError):
    """The platform under this process gives no evidence."""

    code = "evidence_unavailable"
    status = 503


class IssuerEndedError(AttestationError):
    """Who should certify has no valid certificate any more."""

    code = "issuer_ended"
    status = 503
