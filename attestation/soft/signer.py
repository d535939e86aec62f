"""A key of the simulated platform with its certificate, and the two kinds of signature that it makes."""

import datetime as dt
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID

from standby import pki

LIFETIME: Final = dt.timedelta(days=3650)
"""Of each certificate, as the platform lives as long as its state directory."""
_ORGANIZATION: Final = "Simulated SGX platform, no hardware"


@dataclass(frozen=True)
class Signer:
    key: pki.PrivateKey
    certificate: x509.Certificate

    @property
    def authority_key(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())

    def certify(
        self,
        name: str,
        now: dt.datetime,
        *,
        path_length: int | None = None,
        extension: x509.ExtensionType | None = None,
    ) -> "Signer":
        """A new key with a certificate of this one; with a path length, one that may certify others."""
        key = pki.new_key()
        builder = _builder(name, self.certificate.subject, key.public_key(), now, path_length)
        builder = builder.add_extension(self.authority_key, critical=False)
        if extension is not None:
            builder = builder.add_extension(extension, critical=False)
        return Signer(key, builder.sign(self.key, hashes.SHA256()))


def self_signed(name: str, now: dt.datetime) -> Signer:
    """A new root: may certify authorities that certify no further ones."""
    key = pki.new_key()
    builder = _builder(name, _name(name), key.public_key(), now, 1)
    return Signer(key, builder.sign(key, hashes.SHA256()))


def sign_raw(key: pki.PrivateKey, data: bytes) -> bytes:
    """ECDSA with SHA-256 as quotes and collateral have it: r and s, 32 bytes each, big-endian."""
    r, s = utils.decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def raw_public_key(key: pki.PrivateKey) -> bytes:
    """The point: x and y, 32 bytes each, big-endian."""
    point = key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    return point[1:]


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANIZATION),
        ]
    )


def _builder(
    name: str,
    issuer: x509.Name,
    public_key: pki.PublicKey,
    now: dt.datetime,
    path_length: int | None,
) -> x509.CertificateBuilder:
    authority = path_length is not None
    constraints = x509.BasicConstraints(ca=authority, path_length=path_length)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - pki.CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(constraints, critical=True)
        .add_extension(_key_usage(authority=authority), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=not authority,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
