"""What an error of aiohttp, ssl or the system means for a client of the platform.

The platform refuses in the language of TLS, because the load balancer cannot speak inside the connection: the alert
`internal_error`, or a connection closed in the middle of the handshake, means that there is no server now, and
`certificate_unobtainable` that the Routing Manager is away (`lb_lua/refusals.lua` has the whole list). In TLS 1.3
the server judges the client's certificate after the client considers the handshake complete, so an alert about it
arrives where the answer to the first request was expected. A server on asyncio closes without that alert, which cannot
be told from a server that died; the message of the error names both.

Whose fault it is decides what the message asks for: a wrong clock, a wrong file, a wrong name, or the operator.
"""

import datetime as dt
import socket
import ssl
from typing import Final

import aiohttp

from smartgrid_client.errors import (
    AwayError,
    BusyError,
    CertificateRefusedError,
    ClientError,
    ServerNotTrustedError,
    ServerNotValidNowError,
    UnansweredError,
    UnknownHostError,
    UnreachableError,
)
from standby.errors import words

_DATES: Final = {9: "is not valid yet", 10: "is not valid any more"}
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED (x509_vfy.h)."""
_OTHER_NAME: Final = frozenset({62, 64})
"""X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH."""
_UNKNOWN_NAMES: Final = frozenset({socket.EAI_NONAME, socket.EAI_NODATA})
"""The resolver has asked, and there is none; other errors of it may pass."""
_ALERTS: Final = {
    "CERTIFICATE_EXPIRED": "it takes the client's certificate for expired, so its clock and this machine's clock "
    "differ; set this one if it is wrong, else tell the operator",
    "UNKNOWN_CA": "it does not know the authority of the client's certificate; pass --cert and --key as the operator "
    "of this platform has given them",
    "UNRECOGNIZED_NAME": "it has no user of this name; check --sni",
}
"""What the other side says of our certificate or name, and what to do."""


def translate(
    error: Exception, *, now: float, connected: bool, fresh: bool = False, met: bool = False
) -> ClientError:
    """Our error for a failed request.

    Args:
        error: of aiohttp, ssl or the system
        now: Unix seconds, by this machine's clock
        connected: the handshake was complete on our side, so that the request may have been sent
        fresh: it was the first request on its connection
        met: the host was connected to before, so that its name exists
    """
    tls = _tls_error(error)
    judged = None if tls is None else _judgement(tls, now)
    if judged is not None:
        return judged
    if connected:
        return _unanswered(error, fresh=fresh)
    return _of_tls(tls) if tls is not None else _of_system(error, met=met)


def _judgement(tls: ssl.SSLError, now: float) -> ClientError | None:
    """One side does not accept the other, whenever it says so."""
    if isinstance(tls, ssl.SSLCertVerificationError):
        return _not_trusted(tls, now)
    reason = _reason(tls)
    if ("ALERT" in reason or "UNRECOGNIZED_NAME" in reason) and "INTERNAL_ERROR" not in reason:
        known = (text for name, text in _ALERTS.items() if reason.endswith(name))
        text = next(known, "check --cert, --key and --sni")
        return CertificateRefusedError(
            f"the other side refused the client's certificate or name ({words(tls)}): {text}"
        )
    return None


def _not_trusted(tls: ssl.SSLCertVerificationError, now: float) -> ClientError:
    said = f"({tls.verify_message})"
    if dates := _DATES.get(tls.verify_code):
        clock = f"{dt.datetime.fromtimestamp(now, dt.UTC):%Y-%m-%d %H:%M} UTC"
        return ServerNotValidNowError(
            f"the server's certificate {dates}, if this machine's clock is right, which says {clock}: set the clock "
            "if it is wrong, else tell the operator"
        )
    if tls.verify_code in _OTHER_NAME:
        return ServerNotTrustedError(
            f"the server's certificate is for another name {said}: check --server, --port and --sni"
        )
    return ServerNotTrustedError(
        f"the server's certificate is not from an authority in the --ca file {said}: pass the ca.pem of this platform, "
        "and check --server and --port"
    )


def _unanswered(error: Exception, *, fresh: bool) -> ClientError:
    if isinstance(error, TimeoutError):
        return UnansweredError("no answer in time")
    hint = "; the server is gone, or does not accept the certificate (--cert)" if fresh else ""
    return UnansweredError(f"the connection ended before the answer{hint}")


def _of_tls(tls: ssl.SSLError) -> ClientError:
    closed = isinstance(tls, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    if closed or "INTERNAL_ERROR" in _reason(tls):
        return BusyError(
            "the platform has no server for this user now: all are taken, or the one that was chosen has just ended; "
            "try again, and ask the operator for a larger pool if this lasts"
        )
    if "CERTIFICATE_UNOBTAINABLE" in _reason(tls):
        return AwayError(
            "the platform's Routing Manager is away or has just started, so no server can be found; open sessions go "
            "on; try again, and tell the operator if this lasts"
        )
    return ServerNotTrustedError(
        f"no TLS 1.3 at this address ({words(tls)}); check --server and --port"
    )


def _of_system(error: Exception, *, met: bool) -> ClientError:
    system = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(system, socket.gaierror) and system.errno in _UNKNOWN_NAMES and not met:
        return UnknownHostError(f"there is no host of this name ({words(error)}); check --server")
    if isinstance(system, ConnectionResetError | BrokenPipeError):
        return BusyError(
            "the platform closed the connection; it has no server for this user now, try again"
        )
    if isinstance(error, TimeoutError):
        return UnreachableError("no connection in time; check --server and --port")
    return UnreachableError(
        f"{words(error)}; check --server and --port, or tell the operator that the load balancer is away"
    )


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    """The TLS error behind an error of aiohttp, which wraps it in one way or another."""
    while error is not None:
        # aiohttp's own errors are SSLErrors by class, but only what they wrap has a reason
        inner = getattr(error, "os_error", None) or getattr(error, "certificate_error", None)
        found = inner or error
        if isinstance(found, ssl.SSLError) and not isinstance(found, aiohttp.ClientError):
            return found
        error = error.__cause__
    return None


def _reason(error: ssl.SSLError) -> str:
    """OpenSSL's name for it; errors that were not raised by OpenSSL have none."""
    return getattr(error, "reason", None) or ""
