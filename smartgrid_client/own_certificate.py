"""The user's own certificate, as its file says: whose it is, for which role, and from when to when it is valid.

It is read before a connection is opened. What does not fit is told with the name of the file then, and is not met as a
refusal by a server, which costs a session and can say less. Whether the certificate may be believed is the servers'
question, not this module's.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from standby import pki
from standby.errors import words
from standby.identity import USER_ROLES, Identity, Role, UnknownIdentityError
from standby.ids import Uid
from standby.settings import SettingsError

_TASKS: Final = {
    Role.METER: "pushes readings (--mode meter)",
    Role.CUSTOMER: "asks for averages (--mode customer)",
}


class CredentialsError(SettingsError):
    """A certificate or key is not what is needed here; the message names the file, and what to do."""


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """The first certificate of a PEM file."""

    file: Path
    who: Identity
    begins: dt.datetime
    ends: dt.datetime
    key: CertificatePublicKeyTypes

    @classmethod
    def read(cls, file: Path) -> Self:
        """What the file says.

        Raises:
            CredentialsError: it cannot be read, or names no identity of a platform.
        """
        try:
            certificate = x509.load_pem_x509_certificate(file.read_bytes())
            who = pki.identity_of(certificate)
            key = certificate.public_key()
        except OSError as error:
            raise CredentialsError(f"cannot read {words(error)}") from error
        except UnknownIdentityError as error:
            raise CredentialsError(f"{file} names no user: {error}") from error
        except pki.UNREADABLE as error:
            raise CredentialsError(f"{file} holds no certificate in PEM") from error
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        return cls(file, who, begins, ends, key)

    def check(self, uid: Uid, role: Role, now: dt.datetime) -> None:
        """It is this user's, in this role, and valid `now`.

        Raises:
            CredentialsError: it is not.
        """
        if self.who.role not in USER_ROLES:
            raise CredentialsError(
                f"{self.file} is the certificate of {_told(self.who)}, which is no user: pass the files of {uid}"
            )
        if self.who.name != uid:
            raise CredentialsError(
                f"{self.file} is the certificate of {_told(self.who)}, not of {uid}: pass the files of {uid}, or "
                f"--sni {self.who.name}"
            )
        if self.who.role is not role:
            raise CredentialsError(
                f"{self.file} is the certificate of {_told(self.who)}, and a {role} {_TASKS[role]}: pass the files of "
                f"the {role}, which the operator makes (standby enroll {uid} --role {role} --db-key FILE)"
            )
        if now < self.begins:
            raise CredentialsError(
                f"{self.file} is valid only from {_date(self.begins)}, and this machine's clock says {_date(now)}: "
                "set the clock"
            )
        if now > self.ends:
            raise CredentialsError(
                f"{self.file} was valid until {_date(self.ends)}, and this machine's clock says {_date(now)}: if that "
                "is right, ask the operator for a new certificate "
                f"(standby enroll {uid} --role {role} --db-key FILE)"
            )


def _told(who: Identity) -> str:
    return f"{who.role} {who.name}"


def _date(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
