"""What an error of aiohttp, ssl or the system means for a client of the platform.

The platform refuses in the language of TLS, because the load balancer cannot speak inside the connection: the alert
`internal_error`, or a connection closed in the middle of the handshake, means that there is no server now, and
`certificate_unobtainable` that the Routing Manager is away (`lb_lua/refusals.lua` has the whole list). In TLS 1.3
the server judges the client's certificate after the client considers the handshake complete, so an alert about it
arrives where the answer to the first request was expected. A server on asyncio closes without that alert, which cannot
be told from a server that died; the message of the error names both.
"""

import ssl

import aiohttp

from smartgrid_client.errors import (
    AwayError,
    BusyError,
    CertificateRefusedError,
    ClientError,
    ServerNotTrustedError,
    UnansweredError,
    UnreachableError,
)
from standby.errors import words


def translate(error: Exception, *, connected: bool, fresh: bool = False) -> ClientError:
    """Our error for a failed request.

    `connected`: the handshake was complete on our side, so that the request may have been sent. `fresh`: it was the
    first request on its connection.
    """
    tls = _tls_error(error)
    judged = None if tls is None else _judgement(tls)
    if judged is not None:
        return judged
    if connected:
        return _unanswered(error, fresh=fresh)
    return _of_tls(tls) if tls is not None else _of_system(error)


def _judgement(tls: ssl.SSLError) -> ClientError | None:
    """One side does not accept the other, whenever it says so."""
    if isinstance(tls, ssl.SSLCertVerificationError):
        return ServerNotTrustedError(
            f"the server's certificate cannot be trusted: {tls.verify_message}; "
            "check --ca and --sni"
        )
    reason = _reason(tls)
    if ("ALERT" in reason or "UNRECOGNIZED_NAME" in reason) and "INTERNAL_ERROR" not in reason:
        return CertificateRefusedError(
            f"the other side refused the client's certificate or name ({_words(tls)}); "
            "check --cert, --key and --sni"
        )
    return None


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
        f"no TLS 1.3 at this address ({_words(tls)}); check --server and --port"
    )


def _of_system(error: Exception) -> ClientError:
    system = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
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


def _words(error: ssl.SSLError) -> str:
    return _reason(error).lower().replace("_", " ") or "TLS error"
