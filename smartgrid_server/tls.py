"""Mutual TLS 1.3 for whichever user is asked for, with a certificate made in this process.

A handshake starts in a base context without any certificate. The name the client asks for (SNI) picks the context of
that user, with a freshly minted certificate for exactly this name. Without a name, or with one that is no DNS label,
the handshake ends with the alert `unrecognized_name`; with the name of a user whom this process does not serve it ends
with `internal_error`, the platform's word for "not now": whoever was sent here has a server elsewhere and comes again.

Making a context takes longer than anything else in a handshake, so the base one and that of the first user are made,
but for the certificate, before anybody comes.

After the switch OpenSSL keeps the base context's rules (version, client certificate required, no tickets) but looks
clients' authorities up in the new one, so both contexts are made by the same function. Tickets are off because a
resumed session skips the certificates, and with them what they prove.

The standard library loads certificates and keys from files only; they go through pipes, so the private key is never on
a disk. Rejected: a memfd, memory with a name, which no limit counts, so hardened servers cannot have it.
"""

import contextlib
import os
import ssl
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final, TypeVar

from attestation.issuer import ServerCertificate, ServerIssuer
from standby.ids import InvalidIdError, Uid, parse_uid
from standby.logs import EventLog

KEPT: Final = 16
"""Contexts of recent users; a standby server meets few before one of them logs in."""
ContextT = TypeVar("ContextT", bound=ssl.SSLContext)
log = EventLog(__name__)


class _AlertingObject(ssl.SSLObject):
    """A connection whose refusal reaches the client.

    asyncio and uvloop drop a connection at once when its handshake fails, and the alert with it. Asking for more data
    first makes them send what is there; the client then closes, or the handshake's deadline ends the connection.
    """

    outgoing: ssl.MemoryBIO
    _failure: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        if self._failure is not None:
            raise self._failure
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            if not self.outgoing.pending:
                raise
            self._failure = error
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "alert first") from error


class _BaseContext(ssl.SSLContext):
    """The context in which handshakes start."""

    sslobject_class = _AlertingObject

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002  # the standard library's signature
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        connection = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        if isinstance(connection, _AlertingObject):
            connection.outgoing = outgoing
        return connection


class UserContext(ssl.SSLContext):
    """The context of connections that asked for one user."""

    uid: Uid


class Blanks:
    """Contexts that lack only the certificate, for clients of these authorities (PEM); they hold no secret."""

    def __init__(self, authorities: bytes) -> None:
        """Makes the first two.

        Raises:
            ssl.SSLError: the text holds no certificates.
        """
        self.authorities = authorities
        self.base = self._prepared(_BaseContext(ssl.PROTOCOL_TLS_SERVER))
        self._spare: UserContext | None = self._prepared(UserContext(ssl.PROTOCOL_TLS_SERVER))

    @classmethod
    def read(cls, file: Path, known: "Blanks | None" = None) -> "Blanks":
        """For the authorities in a file; those that are `known` if they are for the same.

        Raises:
            OSError: the file cannot be read.
            ssl.SSLError: it holds no certificates.
        """
        authorities = file.read_bytes()
        return known if known and known.authorities == authorities else cls(authorities)

    def take(self) -> UserContext:
        """One that nobody else has."""
        spare, self._spare = self._spare, None
        return spare or self._prepared(UserContext(ssl.PROTOCOL_TLS_SERVER))

    def _prepared(self, context: ContextT) -> ContextT:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.num_tickets = 0
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=self.authorities.decode("ascii"))
        return context


class ServerTls:
    """Makes the contexts; `serves` says which users may be asked for now."""

    def __init__(self, issuer: ServerIssuer, blanks: Blanks, serves: Callable[[Uid], bool]) -> None:
        self._issuer = issuer
        self._blanks = blanks
        self._serves = serves
        self._kept: OrderedDict[Uid, tuple[ServerCertificate, UserContext]] = OrderedDict()
        self.base = blanks.base
        self.base.sni_callback = self._choose

    def context(self, uid: Uid) -> UserContext:
        """The user's context, made anew when his certificate was."""
        certificate = self._issuer.certificate(uid)
        kept = self._kept.get(uid)
        if kept is None or kept[0] is not certificate:
            kept = certificate, self._made(uid, certificate)
            self._kept[uid] = kept
        self._kept.move_to_end(uid)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return kept[1]

    def _choose(
        self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext
    ) -> int | None:
        """Called by OpenSSL with the client's SNI; a number is the alert that ends the handshake."""
        try:
            uid = parse_uid(name or "")
            if not self._serves(uid):
                return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
            connection.context = self.context(uid)
        except InvalidIdError:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        except Exception as error:  # noqa: BLE001  # OpenSSL is the caller; it would only print it
            log.error("certificate_failed", error=error)
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        return None

    def _made(self, uid: Uid, certificate: ServerCertificate) -> UserContext:
        context = self._blanks.take()
        context.uid = uid
        _load_from_memory(context, certificate)
        return context


def asked_for(connection: ssl.SSLObject) -> Uid:
    """The user whose name this server showed on the connection.

    Raises:
        TypeError: the connection is not one of `ServerTls`.
    """
    context = connection.context
    if not isinstance(context, UserContext):
        raise TypeError("a connection of this server has a user's context")
    return context.uid


def _load_from_memory(context: ssl.SSLContext, certificate: ServerCertificate) -> None:
    with _readable(certificate.chain_pem) as chain, _readable(certificate.key_pem) as key:
        context.load_cert_chain(chain, key)


@contextlib.contextmanager
def _readable(content: bytes) -> Iterator[str]:
    """A name under which the content can be read once."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    with os.fdopen(reading, "rb"):
        pipe = os.fdopen(writing, "wb", buffering=0)
        os.set_blocking(writing, False)
        rest = content[pipe.write(content) or 0 :]
        if rest:  # the account has so many pipes that the kernel makes new ones small
            os.set_blocking(writing, True)
            threading.Thread(target=_write, args=(pipe, rest), name="certificate").start()
        else:
            pipe.close()
        yield f"/proc/self/fd/{reading}"


def _write(pipe: IO[bytes], content: bytes) -> None:
    """Write all of it, as far as it is read."""
    with contextlib.suppress(BrokenPipeError), pipe:
        while content:
            content = content[pipe.write(content) :]
