"""What a server of a session would be given by CAS, after the documentation of the session language 0.3.

A reading of ours, and only of what the project's sessions have: private keys, authorities, their placeholders, and
values of the host. An authority has no extended key usage and any path length, because the documentation promises none.
"""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from attestation.scone import placeholders
from standby import pki

Session = Mapping[str, Any]
_UNLIMITED: Final = dt.timedelta(days=36_500)
_HOST: Final = re.compile(r"@@(\w+)")


@dataclass(frozen=True)
class _Authority:
    certificate: x509.Certificate
    key: pki.PrivateKey
    above: tuple[x509.Certificate, ...]


@dataclass(frozen=True)
class Secrets:
    """What CAS has generated for one session."""

    authorities: Mapping[str, _Authority]

    @classmethod
    def made(cls, session: Session) -> "Secrets":
        named = {each["name"]: each for each in session["secrets"]}
        keys = {
            name: pki.new_key() for name, each in named.items() if each["kind"] == "private-key"
        }
        authorities: dict[str, _Authority] = {}
        for name, each in named.items():  # an issuer stands before what it has issued
            if each["kind"] == "x509-ca":
                issuer = authorities[each["issuer"]] if "issuer" in each else None
                authorities[name] = _made(each, keys[each["private_key"]], issuer)
        return cls(authorities)

    def certificate(self, name: str) -> str:
        return pki.certificate_pem(self.authorities[name].certificate).decode()

    def filled(self, text: str) -> str:
        """The text with the values in place of placeholders."""
        return placeholders.WHOLE.sub(
            lambda found: self._value(found["name"], found["format"]), text
        )

    def _value(self, name: str, form: str) -> str:
        authority = self.authorities[name]
        match form:
            case "" | ":crt":
                return self.certificate(name)
            case ":privatekey":
                return pki.key_pem(authority.key).decode()
            case ":chain":
                return "".join(pki.certificate_pem(each).decode() for each in authority.above)
            case _:
                raise NotImplementedError(form)


def files(session: Session, secrets: Secrets) -> dict[str, str]:
    """Content of injected files by their paths."""
    injected = session["images"][0]["injection_files"]
    return {each["path"]: secrets.filled(each["content"]) for each in injected}


def environment(session: Session, host: Mapping[str, str]) -> dict[str, str]:
    """What the program sees; a value that the host does not have is a KeyError."""
    return {
        name: _HOST.sub(lambda found: host[found[1]], value)
        for name, value in session["services"][0]["environment"].items()
    }


def _made(secret: Session, key: pki.PrivateKey, issuer: _Authority | None) -> _Authority:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, secret["common_name"])])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + _lifetime(secret.get("valid_for")))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(issuer.key if issuer else key, hashes.SHA256())
    )
    return _Authority(certificate, key, (issuer.certificate, *issuer.above) if issuer else ())


def _lifetime(valid_for: str | None) -> dt.timedelta:
    if valid_for is None:
        return _UNLIMITED
    return dt.timedelta(days=int(valid_for.removesuffix("d")))
