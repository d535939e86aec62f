"""TLS contexts for the platform's own connections: version 1.3, both sides show a certificate, nothing is resumed.

Resumption is off because a resumed session skips the certificate, and with it what the certificate proves.
"""

import ssl
from pathlib import Path

from msgspec import Struct

from standby.errors import words
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


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """For a client that shows its certificate and checks the server's name and authority."""
    return _context(ssl.PROTOCOL_TLS_CLIENT, files)


def _context(protocol: int, files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(files.certificate, files.key)
        context.load_verify_locations(files.authorities)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"cannot load TLS files {files.certificate}, {files.key}, {files.authorities}: {words(error)}"
        ) from error
    return context
