"""Certificates: making authorities, and issuing what they sign. Everything is ECDSA P-256 and X.509 v3.

Only the parts that issue import this module (`cryptography` is its cost). Private keys are written with mode 0600
before a byte of them is on disk; with a seal (`standby.seal`) they are encrypted as well.

No certificate outlives the one that signs it: a chain that has ended somewhere is no chain, whatever its leaf says.
"""

import datetime as dt
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from standby import durable, identity
from standby.identity import Identity
from standby.seal import PLAIN, Seal

CLOCK_SKEW: Final = dt.timedelta(minutes=5)
"""A certificate is valid from this long before it was made, because machines' clocks differ."""
_KEY_USAGE_OFF: Final = dict.fromkeys(
    (
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "encipher_only",
        "decipher_only",
    ),
    False,
)

UNREADABLE: Final = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What `cryptography` raises for certificates that it does not understand."""
PublicKey = ec.EllipticCurvePublicKey
PrivateKey = ec.EllipticCurvePrivateKey


def new_key() -> PrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def public_key_of(certificate: x509.Certificate) -> bytes:
    """The certificate's SubjectPublicKeyInfo, in DER.

    Raises:
        One of `UNREADABLE`: it is of an unknown kind.
    """
    return certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def identity_of(certificate: x509.Certificate) -> Identity:
    """Who the certificate speaks for; whether it may be believed is not looked at.

    Raises:
        UnknownIdentityError: it names nobody, or more than one.
        One of `UNREADABLE`: its extensions cannot be read.
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return identity.of_uris(())
    return identity.of_uris(names.get_values_for_type(x509.UniformResourceIdentifier))


def load_certificates(file: Path) -> list[x509.Certificate]:
    """Those in a PEM file, in its order.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds none.
    """
    try:
        return x509.load_pem_x509_certificates(file.read_bytes())
    except ValueError as error:
        raise ValueError(f"{file} holds no certificate in PEM") from error


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, whatever the umask, replacing an older one."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


@dataclass(frozen=True)
class Usage:
    """What a leaf certificate may be used for."""

    client: bool = False
    server: bool = False

    @property
    def oids(self) -> list[x509.ObjectIdentifier]:
        pairs = (
            (self.client, ExtendedKeyUsageOID.CLIENT_AUTH),
            (self.server, ExtendedKeyUsageOID.SERVER_AUTH),
        )
        return [oid for wanted, oid in pairs if wanted]


class Authority:
    """A certificate that signs others, with its key and the chain up to (not including) its root.

    What only issuing needs is made at the first use: a waiting server has issued nothing yet.
    """

    def __init__(
        self,
        key: PrivateKey,
        certificates: Sequence[x509.Certificate],
    ) -> None:
        """`certificates`: the authority's own, and those of the authorities above it, without the root."""
        self.certificate = certificates[0]
        self._certificates = tuple(certificates)
        self._key = key

    @cached_property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """What a peer needs besides the root: this authority's own certificate first, unless it is the root."""
        is_root = self.certificate.issuer == self.certificate.subject
        return () if is_root else self._certificates

    @cached_property
    def _key_id(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())

    @classmethod
    def create(cls, name: str, lifetime: dt.timedelta) -> Self:
        """A new self-signed root."""
        key = new_key()
        subject = _common_name(name)
        until = dt.datetime.now(dt.UTC) + lifetime
        builder = _builder(subject, subject, key.public_key(), until)
        certificate = _authority(builder, key.public_key(), None).sign(key, hashes.SHA256())
        return cls(key, [certificate])

    @classmethod
    def load(cls, certificate_file: Path, key_file: Path, seal: Seal | None = None) -> Self:
        """An authority from PEM files; the first certificate of the file is its own, the rest its chain.

        Args:
            certificate_file: public, never sealed
            key_file: what `seal` made of the key's PEM; without one the PEM itself
            seal: as the key was saved

        Raises:
            OSError: a file cannot be read.
            ValueError: a file holds something else, was sealed otherwise, or the two do not belong together.
        """
        certificates = load_certificates(certificate_file)
        pem = (seal or PLAIN).open(key_file.read_bytes())
        key = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key_file} does not hold an EC private key")  # noqa: TRY004  # a bad value
        if key.public_key() != certificates[0].public_key():
            raise ValueError(
                f"{key_file} is the key of another certificate than {certificate_file}"
            )
        return cls(key, certificates)

    def save(self, certificate_file: Path, key_file: Path, seal: Seal | None = None) -> None:
        """Keep both on disk; the key first, so that whoever finds the certificate finds its key."""
        durable.replace(key_file, (seal or PLAIN).close(key_pem(self._key)))
        chain = b"".join(certificate_pem(each) for each in self._certificates)
        durable.replace(certificate_file, chain, mode=0o644)

    def intermediate(
        self, name: str, lifetime: dt.timedelta, usage: Usage, path_length: int = 0
    ) -> "Authority":
        """An authority below this one whose leaves have one usage only.

        `path_length` authorities may follow it on the way to a leaf; with 0 it can sign leaves only.
        """
        key = new_key()
        builder = self._below(_common_name(name), key.public_key(), lifetime, usage)
        signed = _authority(builder, key.public_key(), path_length).sign(self._key, hashes.SHA256())
        return Authority(key, [signed, *self.chain])

    def certify(
        self,
        public_key: PublicKey,
        identity: Identity,
        usage: Usage,
        lifetime: dt.timedelta,
        extensions: Sequence[x509.ExtensionType] = (),
    ) -> x509.Certificate:
        """A certificate that makes the owner of `public_key` an authority for leaves of one usage.

        Its common name is role and name with a space between. The owner may sign leaves for the same key, and a leaf's
        common name is a DNS label: with a space it cannot be the issuer's, or the leaf would pass for self-signed.
        """
        subject = _common_name(f"{identity.role} {identity.name}")
        builder = self._below(subject, public_key, lifetime, usage, extensions)
        builder = builder.add_extension(_alternative_names(identity), critical=False)
        return _authority(builder, public_key, 0).sign(self._key, hashes.SHA256())

    def issue(
        self,
        public_key: PublicKey,
        identity: Identity,
        usage: Usage,
        lifetime: dt.timedelta,
        hosts: Sequence[str] = (),
        extensions: Sequence[x509.ExtensionType] = (),
    ) -> x509.Certificate:
        """A leaf certificate: CN = the identity's name, SANs = its SPIFFE id and `hosts` (names or addresses)."""
        subject = _common_name(identity.name)
        return (
            self._below(subject, public_key, lifetime, usage, extensions)
            .add_extension(_alternative_names(identity, hosts), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(sign_certificates=False), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def _below(
        self,
        subject: x509.Name,
        public_key: PublicKey,
        lifetime: dt.timedelta,
        usage: Usage,
        extensions: Sequence[x509.ExtensionType] = (),
    ) -> x509.CertificateBuilder:
        """What everything has that this authority signs; `extensions` are not critical."""
        until = min(dt.datetime.now(dt.UTC) + lifetime, self.certificate.not_valid_after_utc)
        builder = _builder(subject, self.certificate.subject, public_key, until)
        for each in (x509.ExtendedKeyUsage(usage.oids), self._key_id, *extensions):
            builder = builder.add_extension(each, critical=False)
        return builder


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        **_KEY_USAGE_OFF,
    )


def _alternative_names(
    identity: Identity, hosts: Sequence[str] = ()
) -> x509.SubjectAlternativeName:
    spiffe = x509.UniformResourceIdentifier(identity.uri)
    return x509.SubjectAlternativeName([spiffe, *(_general_name(host) for host in hosts)])


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: PublicKey, until: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime.now(dt.UTC) - CLOCK_SKEW)
        .not_valid_after(until)
    )


def _authority(
    builder: x509.CertificateBuilder, public_key: PublicKey, path_length: int | None
) -> x509.CertificateBuilder:
    return (
        builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=path_length), critical=True
        )
        .add_extension(_key_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )
