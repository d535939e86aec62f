"""One life of a server process, from its socket and key to LOGOUT."""

import asyncio
import contextlib
import socket
from contextlib import AbstractAsyncContextManager
from functools import partial

from attestation.issuer import ServerIssuer
from smartgrid_server import hardening
from smartgrid_server.connections import Connections
from smartgrid_server.errors import SessionOverError
from smartgrid_server.handlers import CONTEXT, Context, Limits
from smartgrid_server.prepared import Prepared
from smartgrid_server.service import Service
from smartgrid_server.session import Limits as SessionLimits
from smartgrid_server.session import Session
from smartgrid_server.settings import Settings
from smartgrid_server.tls import ServerTls
from smartgrid_server.worker import Worker
from smartgrid_server.wrapper_link import WrapperLink
from standby import lines
from standby.errors import PlatformError
from standby.ids import new_boot_id
from standby.logs import EventLog
from standby.processes import reserve_port
from standby.settings import SettingsError
from standby.states import StopReason

log = EventLog(__name__)


async def run(
    settings: Settings,
    stop: asyncio.Event,
    *,
    prepared: Prepared | None = None,
    wrapper: AbstractAsyncContextManager[WrapperLink] | None = None,
) -> None:
    """Serve one user, then return; with `dedicated_uid`, serve him until asked to stop.

    The link to the wrapper is over stdin and stdout unless another one is given.

    Raises:
        SettingsError: the certificates or the socket cannot be used.
        HardeningError: at LOGIN, if the settings require what then fails.
        PlatformError: a dedicated user's data cannot be had.
    """
    session = _session(settings)
    prepared = Prepared.make(settings, prepared)
    tls = ServerTls(_issuer(settings), prepared.blanks, session.serves)
    sock = _listening_socket(settings)
    worker = Worker()
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(contextlib.closing(sock))
        stack.callback(worker.stop)
        link = await stack.enter_async_context(wrapper or WrapperLink.connected())
        boot_id = settings.boot_id or new_boot_id()
        keep_only = partial(hardening.keep_only, settings=settings, libraries=prepared.libraries)
        service = Service(session, link, worker, boot_id, settings.volume_answer, keep_only)
        watch = asyncio.create_task(_end_when_asked(service, stop, link), name="asked-to-stop")
        stack.callback(watch.cancel)
        try:
            if session.uid is not None:
                await service.claim(session.uid)
            connections = Connections(settings.login_deadline)
            limits = Limits(settings.max_rows, settings.max_alarms, settings.max_buckets)
            prepared.app[CONTEXT] = Context(service, session, connections, limits)
            # one client may be quiet while another keeps the session from being idle
            idle = max(settings.session_idle, settings.session_length)
            async with connections.serving(prepared.app, sock, tls.base, idle):
                await _serve(sock, service, session, connections, link)
        except SessionOverError:
            log.info("stopped_before_the_volume_came")
        except PlatformError:
            link.say(lines.logout(service.over.result()))
            raise
        # not after any other error, a storage that hangs for instance: the database may still be open
        link.say(lines.logout(service.over.result()))


async def _serve(
    sock: socket.socket,
    service: Service,
    session: Session,
    connections: Connections,
    link: WrapperLink,
) -> None:
    """Say that it listens, and wait until the session is over and its database closed."""
    log.debug("listening", url=_url(sock))
    if session.uid is None:
        link.say(lines.WAITING_LOGIN)
    await asyncio.shield(service.over)
    connections.stop_accepting()
    await service.closed()


async def _end_when_asked(service: Service, stop: asyncio.Event, link: WrapperLink) -> None:
    waits = [asyncio.create_task(event.wait()) for event in (stop, link.closed)]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        service.end(StopReason.DRAINED)
    finally:
        for wait in waits:
            wait.cancel()


def _session(settings: Settings) -> Session:
    limits = SessionLimits(
        length=settings.session_length,
        idle=settings.session_idle,
        retry=settings.login_retry,
        tries=settings.login_tries,
        members=settings.members,
    )
    return Session(limits, dedicated=settings.dedicated_uid)


def _issuer(settings: Settings) -> ServerIssuer:
    """Makes the process's key, too, so that no user waits for it."""
    try:
        return ServerIssuer.load(settings.issuer_certificate, settings.issuer_key)
    except (OSError, ValueError) as error:
        raise SettingsError(f"the issuer's files cannot be used: {error}") from error


def _listening_socket(settings: Settings) -> socket.socket:
    try:
        if settings.listen_fd is not None:
            return socket.socket(fileno=settings.listen_fd)
        return reserve_port(settings.host, settings.port)
    except OSError as error:
        raise SettingsError(f"the server cannot listen: {error}") from error


def _url(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"https://{host}:{port}"
