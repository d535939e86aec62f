"""TLS contexts for the platform's own connections: version 1.3, both sides show a certificate, nothing is resumed.

Resumption is off because a resumed session skips the certificate, and with it what the certificate proves.

A key that is encrypted needs its passphrase from the caller. Without one OpenSSL would ask for it on the terminal of
whoever started the process, and wait.
"""

import ssl
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from standby.errors import words
from standby.secret import Secret
from standby.settings import SettingsError


class TlsFiles(Struct, frozen=True, kw_only=True):
    """Paths of PEM files."""

    certificate: Path
    key: Path
    authorities: Path
    """Who may have signed the other side's certificate."""


def tls_files(
    certificate: Path | None, key: Path | None, authorities: Path | None
) -> TlsFiles | None:
    """The three settings together, or None when none of them is set.

    Raises:
        SettingsError: only some of them are set.
    """
    if certificate is None and key is None and authorities is None:
        return None
    if certificate is None or key is None or authorities is None:
        raise SettingsError(
            "TLS needs the certificate, the key and the authorities; set all three or none"
        )
    return TlsFiles(certificate=certificate, key=key, authorities=authorities)


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """For a listener that requires a client certificate."""
    context = _context(ssl.PROTOCOL_TLS_SERVER, files)
    context.num_tickets = 0
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(files: TlsFiles, passphrase: Secret | None = None) -> ssl.SSLContext:
    """For a client that shows its certificate and checks the server's name and authority."""
    return _context(ssl.PROTOCOL_TLS_CLIENT, files, passphrase)


def _context(protocol: int, files: TlsFiles, passphrase: Secret | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    for file in (files.certificate, files.key, files.authorities):
        _check_readable(file)
    try:
        context.load_cert_chain(files.certificate, files.key, _password(files.key, passphrase))
    except ssl.SSLError as error:
        raise SettingsError(_unusable_pair(files, error)) from error
    try:
        context.load_verify_locations(files.authorities)
    except ssl.SSLError as error:
        raise SettingsError(f"{files.authorities} holds no certificates in PEM") from error
    return context


def _check_readable(file: Path) -> None:
    """OpenSSL does not say which file it cannot read."""
    try:
        with file.open("rb"):
            pass
    except OSError as error:
        raise SettingsError(f"cannot read {words(error)}") from error


def _password(key: Path, passphrase: Secret | None) -> bytearray | Callable[[], str]:
    if passphrase is not None:
        return passphrase.reveal()

    def missing() -> str:
        raise SettingsError(f"{key} is encrypted; store it without a passphrase (openssl pkey)")

    return missing


def _unusable_pair(files: TlsFiles, error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"{files.key} is the key of another certificate than {files.certificate}"
    return (
        f"{files.certificate} and {files.key} are not a certificate and its private key in PEM"
        f" ({words(error)})"
    )
