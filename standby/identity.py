"""Who a certificate speaks for: SPIFFE ids, read from certificates that TLS has already verified.

    spiffe://<trust domain>/customer/<uid>            a person; may query, may set alarms
    spiffe://<trust domain>/meter/<uid>               a device of that person; may push readings
    spiffe://<trust domain>/server/<uid>              a server process that serves that user
    spiffe://<trust domain>/instance/<boot id>        a server process itself; may certify servers for a short time
    spiffe://<trust domain>/wrapper/<wrapper id>      an App Wrapper; may report for itself only
    spiffe://<trust domain>/routing-manager/<name>
    spiffe://<trust domain>/operator/<name>           may drain, resize, start and stop

Customers and meters, servers, and the platform's own parts are certified by three different authorities, so a
certificate of one kind can never be taken for one of another.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from standby.errors import ForbiddenError
from standby.ids import InvalidIdError, Uid, parse_uid

TRUST_DOMAIN: Final = "standby.internal"
NEW_CERTIFICATE: Final = (
    "ask the operator for a new certificate (standby enroll UID --role ROLE --db-key FILE)"
)
"""What a user can do whose certificate is of no use; part of error texts."""
_SCHEME: Final = "spiffe://"
_PARTS: Final = 3


class Role(StrEnum):
    CUSTOMER = "customer"
    METER = "meter"
    SERVER = "server"
    INSTANCE = "instance"
    WRAPPER = "wrapper"
    ROUTING_MANAGER = "routing-manager"
    OPERATOR = "operator"


USER_ROLES: Final = frozenset({Role.CUSTOMER, Role.METER})


class UnknownIdentityError(ForbiddenError):
    """The certificate names nobody this platform knows."""

    code = "unknown_identity"


@dataclass(frozen=True, slots=True)
class Identity:
    role: Role
    name: Uid
    """A user id for users and servers, else a boot id, a wrapper id or a part's name; always one DNS label."""
    trust_domain: str = TRUST_DOMAIN

    @property
    def uri(self) -> str:
        return f"{_SCHEME}{self.trust_domain}/{self.role}/{self.name}"


def parse_uri(uri: str) -> Identity:
    """The identity that a SPIFFE id names.

    Raises:
        UnknownIdentityError: another scheme, an unknown role, or a name that is not a DNS label.
    """
    parts = uri.removeprefix(_SCHEME).split("/")
    if not uri.startswith(_SCHEME) or len(parts) != _PARTS or not parts[0]:
        raise UnknownIdentityError(f"the certificate's SPIFFE id is malformed; {NEW_CERTIFICATE}")
    try:
        return Identity(Role(parts[1]), parse_uid(parts[2]), parts[0])
    except (ValueError, InvalidIdError) as error:
        raise UnknownIdentityError(
            f"the certificate's SPIFFE id names an unknown role or name; {NEW_CERTIFICATE}"
        ) from error


def of_certificate(certificate: Mapping[str, object] | None) -> Identity:
    """The one SPIFFE id of a verified peer certificate, in the form of `ssl.SSLObject.getpeercert()`.

    Raises:
        UnknownIdentityError: no certificate, no SPIFFE id, or more than one.
    """
    names = certificate.get("subjectAltName", ()) if certificate else ()
    return of_uris(
        value for kind, value in (names if isinstance(names, Iterable) else ()) if kind == "URI"
    )


def of_uris(uris: Iterable[str]) -> Identity:
    """The one SPIFFE id among the URIs that a certificate names.

    Raises:
        UnknownIdentityError: none, more than one, or one that names no role or user.
    """
    ids = [uri for uri in uris if uri.startswith(_SCHEME)]
    if len(ids) != 1:
        raise UnknownIdentityError("exactly one SPIFFE id is expected in the client's certificate")
    return parse_uri(ids[0])
