"""A whole set of authorities for tests, and certificates from them, in one directory."""

import datetime as dt
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from standby import pki
from standby.identity import Identity, Role
from standby.ids import parse_uid
from standby.tls import TlsFiles

_DAY: Final = dt.timedelta(days=1)
_HOSTS: Final = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class Certificates:
    """Three separate authorities, as in production: servers, users, and the platform's own parts."""

    directory: Path
    servers: pki.Authority
    users: pki.Authority
    parts: pki.Authority

    @classmethod
    def create(cls, directory: Path) -> "Certificates":
        made = cls(
            directory,
            *(pki.Authority.create(f"test {name}", _DAY) for name in ("servers", "users", "parts")),
        )
        made.servers.save(directory / "servers-ca.pem", directory / "servers-ca-key.pem")
        made.users.save(directory / "users-ca.pem", directory / "users-ca-key.pem")
        made.parts.save(directory / "parts-ca.pem", directory / "parts-ca-key.pem")
        issuer = made.servers.intermediate("test issuer", _DAY, pki.Usage(server=True))
        issuer.save(directory / "issuer.pem", directory / "issuer-key.pem")
        return made

    @property
    def issuer_certificate(self) -> Path:
        return self.directory / "issuer.pem"

    @property
    def issuer_key(self) -> Path:
        return self.directory / "issuer-key.pem"

    @property
    def users_ca(self) -> Path:
        return self.directory / "users-ca.pem"

    @property
    def servers_ca(self) -> Path:
        return self.directory / "servers-ca.pem"

    def user(self, uid: str, role: Role = Role.CUSTOMER) -> TlsFiles:
        """A client's certificate and key, and the authority that certifies servers."""
        usage = pki.Usage(client=True)
        return self._issue(self.users, Identity(role, parse_uid(uid)), usage, self.servers_ca)

    def part(self, role: Role, name: str) -> TlsFiles:
        """A certificate of one of the platform's parts, good as client and as server on loopback."""
        identity = Identity(role, parse_uid(name))
        usage = pki.Usage(client=True, server=True)
        return self._issue(self.parts, identity, usage, self.directory / "parts-ca.pem", _HOSTS)

    def user_context(self, uid: str, role: Role = Role.CUSTOMER) -> ssl.SSLContext:
        """A client context that shows the user's certificate and trusts the servers' authority."""
        files = self.user(uid, role)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_cert_chain(files.certificate, files.key)
        context.load_verify_locations(files.authorities)
        return context

    def _issue(
        self,
        authority: pki.Authority,
        identity: Identity,
        usage: pki.Usage,
        trusted: Path,
        hosts: tuple[str, ...] = (),
    ) -> TlsFiles:
        stem = self.directory / f"{identity.role}-{identity.name}"
        files = TlsFiles(
            certificate=stem.with_suffix(".pem"),
            key=stem.with_name(stem.name + "-key.pem"),
            authorities=trusted,
        )
        if not files.certificate.exists():
            key = pki.new_key()
            leaf = authority.issue(key.public_key(), identity, usage, _DAY, hosts)
            pki.write_private(files.key, pki.key_pem(key))
            files.certificate.write_bytes(pki.certificate_pem(leaf))
        return files
