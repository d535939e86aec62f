"""Evidence in, facts out: signatures, chains, revocation and dates are checked, against a pinned root.

Intel's root and a simulated platform's take the same path through the same library; only the pinned certificate
differs. So a verifier that pins Intel's root refuses simulated evidence, and the other way round.

Invariants: the time is the verifier's own, for with a time of the peer's choice old evidence would pass for ever. Bytes
after the quote are refused. Nothing is remembered between calls, and nothing may be remembered by the quote's hash:
quotes are malleable (`attestation.quote`). What is returned was signed; a debug enclave's and a revoked platform's
evidence is never returned, the library refuses both.

Not decided here: whether these facts are good enough (a policy does), and whether the evidence is about the peer's key
and fresh (`attestation.binding`). The library's texts decide which error is raised, never whether one is: an
unknown text is `bad_evidence`, and tests hold the known texts against their errors.
"""

from dataclasses import dataclass
from typing import Annotated, Final, NamedTuple, Self

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from msgspec import Meta, Struct

from attestation import dcap, quote
from attestation.claims import Claims, Number, Root, TcbStatus
from attestation.collateral import Collateral
from attestation.errors import (
    AttestationError,
    BadEvidenceError,
    CollateralError,
    CollateralExpiredError,
    CollateralNotYetValidError,
    DebugEnclaveError,
    RevokedError,
    TcbUnknownError,
    UnknownFormatError,
    UntrustedRootError,
)
from attestation.evidence import DCAP_V3, REPORT_DATA_SIZE, Evidence
from standby import decode
from standby.decode import UnreadableError
from standby.text import sentence

SIMULATED: Final = "SIMULATED"
"""What the common name of a root begins with that is not Intel's."""


@dataclass(frozen=True)
class PinnedRoot:
    """Whose signature is believed in the end; without a certificate it is Intel's, which the library brings along."""

    certificate: bytes | None = None
    """DER of a simulated platform's root."""

    @classmethod
    def simulated(cls, pem: bytes) -> Self:
        """The root of a simulated platform, which says so in its name.

        Raises:
            ValueError: not a certificate, or of something that does not call itself simulated.
        """
        certificate = x509.load_pem_x509_certificate(pem)
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        if not names or not str(names[0].value).startswith(SIMULATED):
            raise ValueError(
                f"a simulated root's common name begins with {SIMULATED}, this certificate's does not"
            )
        return cls(certificate.public_bytes(Encoding.DER))

    @property
    def name(self) -> Root:
        return Root.INTEL if self.certificate is None else Root.SIMULATED


INTEL: Final = PinnedRoot()


def verify(
    evidence: Evidence,
    collateral: Collateral,
    root: PinnedRoot,
    now: float,
    *,
    made_at: float | None = None,
) -> Claims:
    """What the evidence says, if its signatures lead to the pinned root.

    Args:
        evidence: from the peer
        collateral: for the peer's platform, from anywhere
        root: from the policy
        now: Unix seconds, by the verifier's own clock
        made_at: when the verifier gave out the nonce that it finds in the evidence (`attestation.binding`), if it does

    Raises:
        AttestationError: refused; the subclass says why, its text what to do.
        CollateralError: not refused for what it says: the collateral is unusable now.
    """
    if evidence.format != DCAP_V3:
        raise UnknownFormatError(f"evidence of format {evidence.format!r} cannot be verified here")
    quote.parse(evidence.data)
    try:
        text = dcap.appraise(
            evidence.data, collateral.to_json().decode(), root.certificate, int(now)
        )
    except ValueError as error:
        raise _refusal(str(error), root.name) from error
    except OverflowError as error:
        raise ValueError(f"{now} is no time to verify at") from error
    try:
        verdict = decode.json(text, _Verdict)
    except UnreadableError as error:
        raise BadEvidenceError(
            f"the evidence says what cannot be: refuse the peer ({error})"
        ) from error
    return _claims(verdict, root.name, made_at)


_Hex = Annotated[str, Meta(max_length=2 * REPORT_DATA_SIZE)]
_Advisory = Annotated[str, sentence(100)]


class _Enclave(Struct):
    mr_enclave: _Hex
    mr_signer: _Hex
    isv_prod_id: Number
    isv_svn: Number
    attributes: _Hex
    report_data: _Hex


class _Report(Struct):
    enclave: _Enclave = msgspec.field(name="SgxEnclave")


class _Verdict(Struct):
    """What is read of the library's report."""

    status: TcbStatus
    advisory_ids: Annotated[tuple[_Advisory, ...], Meta(max_length=1000)]
    report: _Report


def _claims(verdict: _Verdict, root: Root, made_at: float | None) -> Claims:
    enclave = verdict.report.enclave
    flags = quote.Flags(int.from_bytes(bytes.fromhex(enclave.attributes)[:8], "little"))
    return Claims(
        root=root,
        mrenclave=enclave.mr_enclave.lower(),
        mrsigner=enclave.mr_signer.lower(),
        product_id=enclave.isv_prod_id,
        svn=enclave.isv_svn,
        debug=quote.Flags.DEBUG in flags,
        tcb_status=verdict.status,
        advisories=verdict.advisory_ids,
        report_data=bytes.fromhex(enclave.report_data),
        made_at=made_at,
    )


class _Refusal(NamedTuple):
    """What the library says, what that is here, and what to do; the first row that fits counts."""

    marks: tuple[str, ...]
    error: type[AttestationError]
    advice: str


_REFUSALS: Final = (
    _Refusal(
        ("Debug mode is enabled",),
        DebugEnclaveError,
        "a debug enclave, whose memory the host can read: build it without debugging and start it again",
    ),
    _Refusal(
        ("CertRevoked", "TCB status is invalid: Revoked"),
        RevokedError,
        "the platform's certificate or version is revoked: use another machine, or update this one",
    ),
    _Refusal(
        ("CrlExpired", "TCBInfo expired", "QE Identity expired", "CertExpired"),
        CollateralExpiredError,
        "the collateral has run out: renew it, and look at this machine's clock",
    ),
    _Refusal(
        ("issue date is in the future", "CertNotValidYet"),
        CollateralNotYetValidError,
        "the collateral is from the future: look at this machine's clock",
    ),
    _Refusal(
        ("No matching TCB level found",),
        TcbUnknownError,
        "the collateral knows no status for the platform's versions: update the platform, or renew the collateral",
    ),
    _Refusal(
        (
            "Failed to parse root CA CRL",
            "Failed to verify certificate chain\n\nCaused by:\n    Inv",
        ),
        UntrustedRootError,
        "evidence or collateral does not lead to the pinned root ({root}): it is another platform's, or simulated",
    ),
    _Refusal(
        ("UnknownIssuer",),
        UntrustedRootError,
        "the evidence does not lead to the pinned root ({root})",
    ),
    _Refusal(
        ("in quote_collateral", "Fmspc mismatch", "Failed to parse JSON", "TcbInfo", "QeIdentity"),
        CollateralError,
        "the collateral is damaged or for another model of platform: renew it for this one",
    ),
)


def _refusal(text: str, root: Root) -> AttestationError:
    for marks, error, advice in _REFUSALS:
        if any(mark in text for mark in marks):
            return error(f"{advice.format(root=root)} ({_one_line(text)})")
    return BadEvidenceError(
        f"the evidence is not what a platform signed: refuse the peer ({_one_line(text)})"
    )


def _one_line(text: str) -> str:
    return " ".join(text.removeprefix("Verification failed: ").split())
