"""A software platform: what Intel's factory, a processor and a quoting enclave do, done with keys in this process.

    SIMULATED SGX Root CA
    ├── SIMULATED SGX PCK Processor CA ── SIMULATED SGX PCK Certificate ── (its key signs) ── quoting enclave's report
    │                                                                       (which names) ── attestation key ── quotes
    └── SIMULATED SGX TCB Signing ── collateral, see `attestation.soft.collateral`

It signs whatever measurement it is told: who asks for a quote must be who measured the process, so the keys belong to
the wrapper and never to a server. Keys are kept so that verifiers can pin the root over restarts.
"""

import datetime as dt
import hashlib
import secrets
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from attestation.evidence import REPORT_DATA_SIZE
from attestation.quote import (
    EnclaveIdentity,
    Flags,
    Header,
    Quote,
    QuoteSignature,
    Report,
    signed_part,
)
from attestation.soft import keeping, processor
from attestation.soft.signer import Signer, raw_public_key, self_signed, sign_raw
from standby import decode, pki
from standby.seal import PLAIN, Seal

NAME: Final = "soft-dcap"
_PPID_SIZE: Final = 16
_HEADER: Final = Header(qe_svn=processor.QE_SVN, pce_svn=processor.PCE_SVN)
_AUTHENTICATION_DATA: Final = bytes(range(32))
"""A quoting enclave may choose it."""
_QE_MRENCLAVE: Final = hashlib.sha256(b"SIMULATED quoting enclave").digest()
QE_MRSIGNER: Final = hashlib.sha256(b"SIMULATED signer of the quoting enclave").digest()


@dataclass(frozen=True)
class SoftPlatform:
    """Keys and certificates of one simulated platform; its repr shows no key."""

    root: Signer
    pck_ca: Signer
    tcb_signing: Signer
    pck: Signer
    attestation_key: pki.PrivateKey

    @classmethod
    def create(cls, now: dt.datetime | None = None) -> "SoftPlatform":
        """A new platform; its certificates are valid from `now`, which is the present unless given."""
        now = now or dt.datetime.now(dt.UTC)
        root = self_signed("SIMULATED SGX Root CA", now)
        pck_ca = root.certify("SIMULATED SGX PCK Processor CA", now, path_length=0)
        sgx = processor.extension(secrets.token_bytes(_PPID_SIZE))
        return cls(
            root=root,
            pck_ca=pck_ca,
            tcb_signing=root.certify("SIMULATED SGX TCB Signing", now),
            pck=pck_ca.certify("SIMULATED SGX PCK Certificate", now, extension=sgx),
            attestation_key=pki.new_key(),
        )

    @classmethod
    def load(cls, directory: Path, seal: Seal = PLAIN) -> "SoftPlatform":
        """The platform that was saved there.

        Raises:
            OSError: there is none, or it cannot be read.
            ValueError: the file holds something else, or was sealed otherwise.
        """
        kept = decode.json(keeping.read(directory, seal), _Kept)
        return cls(
            root=kept.root.signer(),
            pck_ca=kept.pck_ca.signer(),
            tcb_signing=kept.tcb_signing.signer(),
            pck=kept.pck.signer(),
            attestation_key=_load_key(kept.attestation_key),
        )

    def save(self, directory: Path, seal: Seal = PLAIN) -> None:
        """Keep the platform; `seal` protects its private keys on disk."""
        kept = _Kept(
            root=_KeptSigner.of(self.root),
            pck_ca=_KeptSigner.of(self.pck_ca),
            tcb_signing=_KeptSigner.of(self.tcb_signing),
            pck=_KeptSigner.of(self.pck),
            attestation_key=pki.key_pem(self.attestation_key).decode(),
        )
        keeping.write(directory, msgspec.json.encode(kept), self.root_pem, seal)

    @cached_property
    def root_pem(self) -> bytes:
        """What a verifier pins (`attestation.verify.PinnedRoot.simulated`)."""
        return pki.certificate_pem(self.root.certificate)

    def quote(self, enclave: EnclaveIdentity, report_data: bytes) -> bytes:
        """A quote about a process that was measured as `enclave` and gave these 64 bytes.

        Raises:
            ValueError: a measurement or the report data has another length.
        """
        flags = processor.ENCLAVE_FLAGS | (Flags.DEBUG if enclave.debug else Flags(0))
        report = _report(flags, enclave, report_data)
        attestation_key, qe_report, qe_signature, chain = self._quoting_enclave
        return Quote(
            header=_HEADER,
            report=report,
            signature=QuoteSignature(
                signature=sign_raw(self.attestation_key, signed_part(_HEADER, report)),
                attestation_key=attestation_key,
                qe_report=qe_report,
                qe_report_signature=qe_signature,
                authentication_data=_AUTHENTICATION_DATA,
                pck_chain=chain,
            ),
        ).build()

    @cached_property
    def _quoting_enclave(self) -> tuple[bytes, Report, bytes, bytes]:
        """The same in each quote: attestation key, the quoting enclave's report, its signature, the chain."""
        key = raw_public_key(self.attestation_key)
        named = hashlib.sha256(key + _AUTHENTICATION_DATA).digest()
        identity = EnclaveIdentity(
            mrenclave=_QE_MRENCLAVE,
            mrsigner=QE_MRSIGNER,
            product_id=processor.QE_PRODUCT_ID,
            svn=processor.QE_SVN,
        )
        report = _report(processor.QE_FLAGS, identity, named.ljust(REPORT_DATA_SIZE, b"\0"))
        chain = (self.pck, self.pck_ca, self.root)
        pem = b"".join(pki.certificate_pem(each.certificate) for each in chain)
        return key, report, sign_raw(self.pck.key, report.build()), pem

    def __repr__(self) -> str:
        return f"<SIMULATED platform {self.root.certificate.serial_number:x}>"


def _report(flags: Flags, enclave: EnclaveIdentity, report_data: bytes) -> Report:
    return Report(
        cpu_svn=processor.CPU_SVN,
        flags=flags,
        xfrm=processor.XFRM,
        mrenclave=enclave.mrenclave,
        mrsigner=enclave.mrsigner,
        product_id=enclave.product_id,
        svn=enclave.svn,
        report_data=report_data,
    )


class _KeptSigner(msgspec.Struct, frozen=True):
    key: str
    certificate: str

    @classmethod
    def of(cls, signer: Signer) -> "_KeptSigner":
        return cls(
            pki.key_pem(signer.key).decode(), pki.certificate_pem(signer.certificate).decode()
        )

    def signer(self) -> Signer:
        """The signer that was kept.

        Raises:
            ValueError: the key is not the certificate's.
        """
        key = _load_key(self.key)
        certificate = x509.load_pem_x509_certificate(self.certificate.encode())
        if key.public_key() != certificate.public_key():
            raise ValueError(f"{certificate.subject.rfc4514_string()} is kept with another key")
        return Signer(key, certificate)


class _Kept(msgspec.Struct, frozen=True):
    """The file's content: PEM texts."""

    root: _KeptSigner
    pck_ca: _KeptSigner
    tcb_signing: _KeptSigner
    pck: _KeptSigner
    attestation_key: str


def _load_key(pem: str) -> pki.PrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not an EC private key")  # noqa: TRY004  # a bad value, not a bad type
    return key
