"""A platform's certificates: three roots that trust nothing of each other, and what they have signed.

servers   clients trust it. Its root key stays here; below it each wrapper has an issuing authority, good for server
          certificates only, made anew at each `standby up`. It certifies the wrapper's servers, and its name says by
          which policy.
users     servers trust it. Signs customers and meters when they are enrolled.
parts     the platform's own parts trust it: Routing Manager, wrappers, operator.

The keys of all of these are sealed on disk (`standby_cli.seal`), and one from before that is sealed as soon as it is
met. Not sealed are the keys of the parts' own certificates, which TLS libraries read from files; they are made anew at
each `standby up`, too.
"""

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from cryptography.x509.oid import NameOID

from attestation.issuing.issuer import authority_name
from attestation.trust import Trust
from standby import pki
from standby.identity import Identity, Role
from standby.ids import parse_uid
from standby.seal import Seal
from standby.tls import TlsFiles
from standby_cli import seal
from standby_cli.errors import ConfigurationError
from standby_cli.layout import Layout

ROOT_LIFETIME: Final = dt.timedelta(days=3650)
USER_LIFETIME: Final = dt.timedelta(days=825)
PART_LIFETIME: Final = dt.timedelta(days=397)
ISSUER_LIFETIME: Final = dt.timedelta(days=397)
_KEY: Final = "-key"
"""What the name of a key's file has besides that of its certificate."""
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Authorities:
    """The files in a platform's `pki` directory. The seal key is read, or made, when a key is first wanted."""

    layout: Layout

    @property
    def directory(self) -> Path:
        return self.layout.pki

    @cached_property
    def seal(self) -> Seal:
        """Raises `SealError` as `standby_cli.seal.of` does."""
        return seal.of(self.layout)

    @property
    def servers_root(self) -> Path:
        return self.directory / "servers-ca.pem"

    @property
    def users_root(self) -> Path:
        return self.directory / "users-ca.pem"

    @property
    def parts_root(self) -> Path:
        return self.directory / "parts-ca.pem"

    def issuer(self, wrapper_id: str) -> tuple[Path, Path]:
        """Certificate and sealed key of the authority that certifies this wrapper's servers."""
        certificate = self.directory / f"issuer-{wrapper_id}.pem"
        return certificate, _key_of(certificate)

    def make(self) -> None:
        """Create the roots that do not exist yet, and seal what is not sealed.

        Raises:
            SealError: the seal key is gone, or cannot be used.
        """
        own = self.seal
        with self.layout.alone("authorities"):
            self._make(own)

    def _make(self, own: Seal) -> None:
        for certificate in (self.servers_root, self.users_root, self.parts_root):
            key = _key_of(certificate)
            if not certificate.exists():
                name = certificate.stem.removesuffix("-ca")
                root = pki.Authority.create(f"standby {name} root", ROOT_LIFETIME)
                root.save(certificate, key, own)
            elif seal.is_plain(key):
                seal.seal_file(key, own)

    def remove_issuers(self) -> None:
        """Forget the issuing authorities of an earlier `standby up`, which nobody uses any more."""
        for certificate in self.directory.glob("issuer*.pem"):
            seal.remove(certificate)

    def remove_wrapper(self, wrapper_id: str) -> None:
        """Forget the certificates of a wrapper that has left the platform."""
        own = self.files(Role.WRAPPER, wrapper_id)
        for file in (*self.issuer(wrapper_id), own.certificate, own.key):
            if file.exists():
                seal.remove(file)

    def renew_issuer(self, wrapper_id: str, trust: Trust | None) -> None:
        """Make this wrapper's issuing authority; `trust` is what its servers are admitted by, None: nothing.

        Raises:
            SealError: the root's key cannot be opened.
        """
        root = self._load(self.servers_root)
        issuer = root.intermediate(
            authority_name(trust), ISSUER_LIFETIME, pki.Usage(server=True), path_length=1
        )
        own = self.seal
        with self.layout.alone("issuer"):  # a certificate and another one's key would be of no use
            issuer.save(*self.issuer(wrapper_id), own)

    def renew_stale_issuers(self, trust: Trust | None) -> None:
        """Make the authorities anew that were made for an earlier policy, so that their wrappers can start again.

        A running wrapper goes on with the authority and the policy that it has.

        Raises:
            SealError: the root's key cannot be opened.
        """
        if trust is None:
            return
        current = {authority_name(trust), authority_name(None)}
        for certificate in self.directory.glob("issuer-*.pem"):
            if certificate.stem.endswith(_KEY):
                continue
            (made,) = pki.load_certificates(certificate)[:1]
            names = made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            if not {str(each.value) for each in names} & current:
                self.renew_issuer(certificate.stem.removeprefix("issuer-"), trust)

    def part(self, role: Role, name: str) -> TlsFiles:
        """A new certificate for one of the platform's parts, good on this machine's loopback addresses.

        Raises:
            SealError: the root's key cannot be opened.
        """
        files = self.files(role, name)
        key = pki.new_key()
        usage = pki.Usage(client=True, server=True)
        leaf = self._load(self.parts_root).issue(
            key.public_key(), Identity(role, parse_uid(name)), usage, PART_LIFETIME, _LOOPBACK
        )
        pki.write_private(files.key, pki.key_pem(key))
        files.certificate.write_bytes(pki.certificate_pem(leaf))
        return files

    def files(self, role: Role, name: str) -> TlsFiles:
        """Where the certificate of one of the platform's parts is, or will be."""
        certificate = self.directory / f"{role}-{name}.pem"
        return TlsFiles(
            certificate=certificate, key=_key_of(certificate), authorities=self.parts_root
        )

    def operator(self) -> TlsFiles:
        """The operator's certificate, made with the platform."""
        return self.files(Role.OPERATOR, "local")

    def users(self) -> pki.Authority:
        """The authority that signs customers and meters.

        Raises:
            SealError: its key cannot be opened.
        """
        return self._load(self.users_root)

    def _load(self, certificate: Path) -> pki.Authority:
        key = _key_of(certificate)
        try:
            pki.load_certificates(certificate)
        except ValueError as error:
            raise ConfigurationError(f"{error}; put the one back that was there") from error
        try:
            return pki.Authority.load(certificate, key, self.seal)
        except ValueError as error:
            raise seal.unopened(key, self.layout, error) from error


def _key_of(certificate: Path) -> Path:
    return certificate.with_name(f"{certificate.stem}{_KEY}.pem")
