"""A platform's certificates: three roots that trust nothing of each other, and what they have signed.

servers   clients trust it. Its root key stays here; an issuing authority below it, good for server certificates
          only, is what standby servers are given, made anew at each `standby up`.
users     servers trust it. Signs customers and meters when they are enrolled.
parts     the platform's own parts trust it: Routing Manager, wrappers, operator.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from standby import pki
from standby.identity import Identity, Role
from standby.ids import parse_uid
from standby.tls import TlsFiles

ROOT_LIFETIME: Final = dt.timedelta(days=3650)
USER_LIFETIME: Final = dt.timedelta(days=825)
PART_LIFETIME: Final = dt.timedelta(days=397)
ISSUER_LIFETIME: Final = dt.timedelta(days=397)
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Authorities:
    """The files below a `pki` directory."""

    directory: Path

    @property
    def servers_root(self) -> Path:
        return self.directory / "servers-ca.pem"

    @property
    def users_root(self) -> Path:
        return self.directory / "users-ca.pem"

    @property
    def parts_root(self) -> Path:
        return self.directory / "parts-ca.pem"

    @property
    def issuer(self) -> tuple[Path, Path]:
        """Certificate and key of the authority that signs standby servers' certificates."""
        return self.directory / "issuer.pem", self.directory / "issuer-key.pem"

    def make(self) -> None:
        """Create the roots that do not exist yet."""
        for name in ("servers", "users", "parts"):
            certificate = self.directory / f"{name}-ca.pem"
            if not certificate.exists():
                root = pki.Authority.create(f"standby {name} root", ROOT_LIFETIME)
                root.save(certificate, _key_of(certificate))

    def renew_issuer(self) -> None:
        root = pki.Authority.load(self.servers_root, _key_of(self.servers_root))
        issuer = root.intermediate(
            "standby servers issuer", ISSUER_LIFETIME, pki.Usage(server=True)
        )
        issuer.save(*self.issuer)

    def part(self, role: Role, name: str) -> TlsFiles:
        """A new certificate for one of the platform's parts, good on this machine's loopback addresses."""
        files = TlsFiles(
            certificate=self.directory / f"{role}-{name}.pem",
            key=self.directory / f"{role}-{name}-key.pem",
            authorities=self.parts_root,
        )
        root = pki.Authority.load(self.parts_root, _key_of(self.parts_root))
        key = pki.new_key()
        usage = pki.Usage(client=True, server=True)
        leaf = root.issue(
            key.public_key(), Identity(role, parse_uid(name)), usage, PART_LIFETIME, _LOOPBACK
        )
        pki.write_private(files.key, pki.key_pem(key))
        files.certificate.write_bytes(pki.certificate_pem(leaf))
        return files

    def operator(self) -> TlsFiles:
        """The operator's certificate, made with the platform."""
        return TlsFiles(
            certificate=self.directory / f"{Role.OPERATOR}-local.pem",
            key=self.directory / f"{Role.OPERATOR}-local-key.pem",
            authorities=self.parts_root,
        )

    def users(self) -> pki.Authority:
        """The authority that signs customers and meters."""
        return pki.Authority.load(self.users_root, _key_of(self.users_root))


def _key_of(certificate: Path) -> Path:
    return certificate.with_name(certificate.stem + "-key.pem")
