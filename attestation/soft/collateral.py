"""What a simulated platform's owner says about it: TCB info, QE identity and revocation lists, signed and dated.

An owner may say anything: `Standing` sets what it says, so tests and experiments can have a platform that is out of
date, or revoked. Formats: Intel, "SGX and TDX Provisioning Certification Service" API version 4 (TCB info version 3, QE
identity version 2).
"""

import datetime as dt
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from msgspec import Struct

from attestation.claims import TcbStatus
from attestation.collateral import Collateral
from attestation.quote import Flags
from attestation.soft import processor
from attestation.soft.platform import QE_MRSIGNER, SoftPlatform
from attestation.soft.signer import Signer, sign_raw
from standby import pki

LIFETIME: Final = dt.timedelta(days=30)
"""As Intel's TCB info."""
_EVALUATION: Final = 1
"""Number of the evaluation that TCB info and QE identity belong to."""
_QE_ATTRIBUTES_MASK: Final = "FBFFFFFFFFFFFFFF0000000000000000"
"""All flags but 64-bit mode, and no processor state, are compared."""


class Standing(Struct, frozen=True, kw_only=True):
    """What the owner says about the platform."""

    tcb_status: TcbStatus = TcbStatus.UP_TO_DATE
    advisories: tuple[str, ...] = ()
    quoting_enclave: TcbStatus = TcbStatus.UP_TO_DATE
    pck_revoked: bool = False


def issue(
    platform: SoftPlatform,
    now: dt.datetime,
    standing: Standing | None = None,
    lifetime: dt.timedelta = LIFETIME,
) -> Collateral:
    """Collateral that is valid from `now`, less what clocks may differ, until `lifetime` later."""
    standing = standing or Standing()
    dates = (now - pki.CLOCK_SKEW, now + lifetime)
    tcb_info = _text(_tcb_info(standing, dates))
    qe_identity = _text(_qe_identity(standing, dates))
    signing_chain = _pem(platform.tcb_signing, platform.root)
    revoked = [platform.pck.certificate] if standing.pck_revoked else []
    return Collateral(
        pck_crl_issuer_chain=_pem(platform.pck_ca, platform.root),
        root_ca_crl=_revocation_list(platform.root, dates, []),
        pck_crl=_revocation_list(platform.pck_ca, dates, revoked),
        tcb_info_issuer_chain=signing_chain,
        tcb_info=tcb_info,
        tcb_info_signature=sign_raw(platform.tcb_signing.key, tcb_info.encode()).hex(),
        qe_identity_issuer_chain=signing_chain,
        qe_identity=qe_identity,
        qe_identity_signature=sign_raw(platform.tcb_signing.key, qe_identity.encode()).hex(),
    )


class CollateralIssuer:
    """Collateral that never runs out while somebody asks for it: a new one after half of its life."""

    def __init__(
        self,
        platform: SoftPlatform,
        standing: Standing | None = None,
        lifetime: dt.timedelta = LIFETIME,
    ) -> None:
        self._platform = platform
        self._standing = standing
        self._lifetime = lifetime
        self._current: tuple[dt.datetime, Collateral] | None = None

    def at(self, now: dt.datetime) -> Collateral:
        """Collateral that is valid now and at least half its lifetime longer; the same object until it is renewed."""
        if self._current is not None:
            made, collateral = self._current
            if made <= now < made + self._lifetime / 2:
                return collateral
        collateral = issue(self._platform, now, self._standing, self._lifetime)
        self._current = (now, collateral)
        return collateral


_Dates = tuple[dt.datetime, dt.datetime]
_Json = dict[str, object]


def _tcb_info(standing: Standing, dates: _Dates) -> _Json:
    versions = {
        "sgxtcbcomponents": [{"svn": svn} for svn in processor.CPU_SVN],
        "pcesvn": processor.PCE_SVN,
    }
    level = _level(versions, dates, standing.tcb_status)
    return {
        "id": "SGX",
        "version": 3,
        **_validity(dates),
        "fmspc": processor.FMSPC.hex().upper(),
        "pceId": processor.PCE_ID.hex(),
        "tcbType": 0,
        "tcbEvaluationDataNumber": _EVALUATION,
        "tcbLevels": [{**level, "advisoryIDs": standing.advisories}],
    }


def _qe_identity(standing: Standing, dates: _Dates) -> _Json:
    level = _level({"isvsvn": processor.QE_SVN}, dates, standing.quoting_enclave)
    flags = int(processor.QE_FLAGS & ~Flags.MODE_64_BIT)
    return {
        "id": "QE",
        "version": 2,
        **_validity(dates),
        "tcbEvaluationDataNumber": _EVALUATION,
        "miscselect": "00000000",
        "miscselectMask": "FFFFFFFF",
        "attributes": flags.to_bytes(16, "little").hex().upper(),
        "attributesMask": _QE_ATTRIBUTES_MASK,
        "mrsigner": QE_MRSIGNER.hex().upper(),
        "isvprodid": processor.QE_PRODUCT_ID,
        "tcbLevels": [level],
    }


def _level(versions: _Json, dates: _Dates, status: TcbStatus) -> _Json:
    return {"tcb": versions, "tcbDate": _stamp(dates[0]), "tcbStatus": status.value}


def _validity(dates: _Dates) -> _Json:
    return {"issueDate": _stamp(dates[0]), "nextUpdate": _stamp(dates[1])}


def _stamp(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(document: _Json) -> str:
    return msgspec.json.encode(document).decode()


def _pem(*chain: Signer) -> str:
    return b"".join(pki.certificate_pem(each.certificate) for each in chain).decode()


def _revocation_list(issuer: Signer, dates: _Dates, revoked: list[x509.Certificate]) -> str:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(dates[0])
        .next_update(dates[1])
        .add_extension(x509.CRLNumber(int(dates[0].timestamp())), critical=False)
        .add_extension(issuer.authority_key, critical=False)
    )
    for certificate in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(dates[0]).build())
    made = builder.sign(issuer.key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.DER).hex()
