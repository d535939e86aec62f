"""Whether a user has proved to log in at a server: their certificate, and their signature (`attestation.login_proof`).

The certificate is verified as TLS did it in the server, but not by the server: chain, dates and purpose by the library,
against the users' authorities; then its role and name. So a server cannot make up a user.

Users' authorities are read again when their file has changed, because servers that start later read the new one, too.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import verification

from attestation import login_proof
from standby import pki
from standby.errors import ForbiddenError, UnavailableError
from standby.identity import NEW_CERTIFICATE, USER_ROLES, UnknownIdentityError
from standby.ids import BootId, Uid


class LoginProofError(ForbiddenError):
    """The proof shows nothing."""

    code = "login_proof_refused"


class AuthoritiesError(UnavailableError):
    """Nothing can be verified now."""

    code = "user_authorities_unavailable"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a LOGIN is proved: what the text names besides the user."""

    boot_id: BootId
    server_key: bytes
    """That the process was certified for, SubjectPublicKeyInfo in DER."""
    nonce: bytes


class Users:
    """Who may have signed users' certificates; threads may share it."""

    def __init__(self, file: Path) -> None:
        """Reads the PEM file.

        Raises:
            OSError: it cannot be read.
            ValueError: it holds no certificates.
        """
        self._file = file
        self._known = _read(file)

    def check(self, uid: Uid, certificate: bytes, signature: bytes, place: Place) -> None:
        """Return if `uid` has proved to log in at this place.

        Raises:
            LoginProofError: they have not; the text says what does not fit.
            AuthoritiesError: the authorities' file has become unusable.
        """
        key = self._key_of(uid, certificate)
        signed = login_proof.text(uid, place.boot_id, place.server_key, place.nonce)
        if not login_proof.is_signed(key, signature, signed):
            raise LoginProofError(
                "the signature is not the user's over this server's boot id, key and nonce"
            )

    def _key_of(self, uid: Uid, der: bytes) -> pki.PublicKey:
        """The key of a user's certificate that is good now."""
        verifier = self._verifier()
        try:
            certificate = x509.load_der_x509_certificate(der)
            verifier.verify(certificate, [])
            who, key = pki.identity_of(certificate), certificate.public_key()
        except verification.VerificationError as error:
            raise LoginProofError(f"the user's certificate is not good: {error}") from error
        except (*pki.UNREADABLE, UnknownIdentityError) as error:
            raise LoginProofError(f"the user's certificate cannot be used: {error}") from error
        if who.role not in USER_ROLES or who.name != uid:
            raise LoginProofError(f"the certificate is of {who.role} {who.name}, not of user {uid}")
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(
            key.curve, ec.SECP256R1
        ):
            raise LoginProofError(f"the user's key is not one on curve P-256; {NEW_CERTIFICATE}")
        return key

    def _verifier(self) -> verification.ClientVerifier:
        try:
            if _version(self._file) != self._known.version:
                self._known = _read(self._file)
        except (OSError, ValueError) as error:
            raise AuthoritiesError(f"the users' authorities cannot be read: {error}") from error
        now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
        builder = verification.PolicyBuilder().store(self._known.store).time(now)
        return builder.build_client_verifier()


@dataclass(frozen=True, slots=True)
class _Known:
    store: verification.Store
    version: tuple[int, ...]


def _read(file: Path) -> _Known:
    """What the file holds; if it is replaced meanwhile it is read again the next time."""
    version = _version(file)
    certificates = x509.load_pem_x509_certificates(file.read_bytes())
    return _Known(verification.Store(certificates), version)


def _version(file: Path) -> tuple[int, ...]:
    found = file.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
