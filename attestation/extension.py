"""Evidence inside an X.509 certificate, where other implementations of RA-TLS look for it.

Extension 2.23.133.5.4.9 (TCG DICE "conceptual message wrapper"), its value CBOR tag 60000 around [quote, claims bytes]:
what Gramine (1.8 and later), Intel's SGX SDK and RATS-TLS write, see "Interoperable RA-TLS" of the Confidential
Computing Consortium.

Invariant: the extension is not critical. OpenSSL ends a handshake whose certificate has a critical extension that it
does not know, and a client that does not care about evidence must be able to connect.

Not promised: certificates of Gramine's own RA-TLS library are not read. mbedTLS writes a NULL into the signature
algorithm, which `cryptography` refuses. Ours are signed by the platform's issuer, with Gramine used for the quote only.
"""

from typing import Final

import cbor2
from cryptography import x509
from msgspec import Struct

from attestation.binding import decode_cbor
from attestation.errors import BadEvidenceError, BindingError, NoEvidenceError
from attestation.evidence import DCAP_V3, Evidence
from standby import pki

OID: Final = x509.ObjectIdentifier("2.23.133.5.4.9")
TEE_QUOTE: Final = 60000
"""The CBOR tag that says "a quote, and the claims whose hash is its report data"."""


class Attached(Struct, frozen=True, kw_only=True):
    """What a certificate carries; nothing of it is verified."""

    evidence: Evidence
    claims: bytes
    public_key: bytes
    """The certificate's own, SubjectPublicKeyInfo in DER."""


def made(evidence: Evidence, claims: bytes) -> x509.UnrecognizedExtension:
    """The extension for a certificate to be, which has to add it as not critical."""
    return x509.UnrecognizedExtension(
        OID, cbor2.dumps(cbor2.CBORTag(TEE_QUOTE, [evidence.data, claims]))
    )


def add_to(
    builder: x509.CertificateBuilder, evidence: Evidence, claims: bytes
) -> x509.CertificateBuilder:
    """The certificate to be, with the evidence in it."""
    return builder.add_extension(made(evidence, claims), critical=False)


def of_certificate(der: bytes) -> Attached:
    """The evidence in a certificate.

    Raises:
        NoEvidenceError: the certificate carries none.
        BadEvidenceError: it is not a certificate, or the extension holds something else.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        extension = certificate.extensions.get_extension_for_oid(OID)
        public_key = pki.public_key_of(certificate)
    except x509.ExtensionNotFound as error:
        raise NoEvidenceError(
            "the certificate carries no evidence: its server is not attested"
        ) from error
    except pki.UNREADABLE as error:
        raise BadEvidenceError(f"the certificate cannot be read: {error}") from error
    evidence, claims = _decode(extension.value.public_bytes())
    return Attached(evidence=evidence, claims=claims, public_key=public_key)


def _decode(value: bytes) -> tuple[Evidence, bytes]:
    try:
        item = decode_cbor(value)
    except BindingError as error:
        raise BadEvidenceError(f"the certificate's evidence: {error}") from error
    if isinstance(item, cbor2.CBORTag) and item.tag == TEE_QUOTE:
        match item.value:
            case [bytes(data), bytes(claims)]:
                return Evidence(DCAP_V3, data), claims
            case _:
                pass
    raise BadEvidenceError(
        f"the certificate's evidence is not CBOR tag {TEE_QUOTE} around [quote, claims]"
    )
