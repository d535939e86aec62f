"""One life of a server process, from its socket, key and certificate to LOGOUT."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from attestation.errors import EvidenceUnavailableError
from attestation.issuer import ServerIssuer
from attestation.issuing.asking import Holder
from attestation.issuing.channel import Channel, ChannelError, RefusedError
from smartgrid_server import hardening
from smartgrid_server.attesting import ATTESTING, Attesting
from smartgrid_server.connections import Connections
from smartgrid_server.entry import Entry
from smartgrid_server.errors import SessionOverError
from smartgrid_server.freshness import ChannelLink
from smartgrid_server.handlers import CONTEXT, Context, Limits
from smartgrid_server.prepared import Prepared
from smartgrid_server.proving import Believed, ChannelProver
from smartgrid_server.rows import Bounds
from smartgrid_server.service import Service
from smartgrid_server.session import Limits as SessionLimits
from smartgrid_server.session import Session
from smartgrid_server.settings import Hardening, Settings, issuer_files
from smartgrid_server.tls import ServerTls
from smartgrid_server.worker import Worker
from smartgrid_server.wrapper_link import WrapperLink
from standby import lines
from standby.errors import PlatformError
from standby.hardening import Layer, Outcome
from standby.ids import new_boot_id
from standby.logs import EventLog
from standby.processes import reserve_port
from standby.settings import SettingsError
from standby.states import StopReason

T = TypeVar("T")
Hardened = Callable[[], Mapping[Layer, Outcome]]
"""What the process gave up: outcome by layer."""
log = EventLog(__name__)


async def run(
    settings: Settings,
    stop: asyncio.Event,
    *,
    prepared: Prepared | None = None,
    hardened: Hardened = dict,
    wrapper: AbstractAsyncContextManager[WrapperLink] | None = None,
) -> None:
    """Serve one user, then return; with `dedicated_uid`, serve him until asked to stop.

    The link to the wrapper is over stdin and stdout unless another one is given.

    Raises:
        SettingsError: the certificates or the socket cannot be used, or the wrapper certifies no such process.
        ConnectionError: the wrapper did not answer as it should when it was asked for a certificate.
        HardeningError: at LOGIN, if the settings require what then fails.
        PlatformError: a dedicated user's data cannot be had.
    """
    session = _session(settings)
    prepared = Prepared.make(settings, prepared)
    async with contextlib.AsyncExitStack() as stack:
        boot_id = settings.boot_id or new_boot_id()
        channel = _channel(settings, stack)
        # makes the process's key, too, so that no user waits for it
        source = Holder(channel, boot_id) if channel else _issuer(settings)
        sock = stack.enter_context(contextlib.closing(_listening_socket(settings)))
        worker = Worker(
            locked_required=settings.hardening is Hardening.REQUIRED,
            largest=settings.volume_bytes,
        )
        stack.callback(worker.stop)
        link = await stack.enter_async_context(wrapper or WrapperLink.connected())
        keep_only = partial(hardening.keep_only, settings=settings, libraries=prepared.libraries)
        freshness = ChannelLink(channel) if channel else None
        service = Service(
            session, link, worker, boot_id, settings.volume_answer, keep_only, freshness
        )
        stack.push_async_callback(service.hush)
        prover = ChannelProver(channel) if channel else Believed()
        entry = Entry(session, service, prover, boot_id)
        stack.push_async_callback(entry.close)
        asked = _end_when_asked(service, stop, link)
        await stack.enter_async_context(_alongside(asked, "asked-to-stop"))
        try:
            attesting = await _unless_over(service, _attesting(source, hardened))
            if session.uid is not None:
                await service.claim(session.uid)
            renewal = _renewed(attesting, hardened, service)
            await stack.enter_async_context(_alongside(renewal, "renewal"))
            if channel:
                lost = _end_when_lost(channel, service)
                await stack.enter_async_context(_alongside(lost, "channel"))
            user = _User(service, entry, session, link)
            await _serve(settings, sock, attesting, prepared, user)
        except SessionOverError:
            log.info("stopped_before_the_volume_came")
        except PlatformError:
            link.say(lines.logout(service.over.result()))
            raise
        # not after any other error, a storage that hangs for instance: the database may still be open
        link.say(lines.logout(service.over.result()))


@dataclass(frozen=True, slots=True)
class _User:
    """What is one user's, or nobody's yet."""

    service: Service
    entry: Entry
    session: Session
    link: WrapperLink


async def _serve(
    settings: Settings,
    sock: socket.socket,
    attesting: Attesting,
    prepared: Prepared,
    user: _User,
) -> None:
    """Listen, say so, and wait until the session is over and its database closed."""
    service, session = user.service, user.session
    connections = Connections(settings.login_deadline, user.entry)
    bounds = Bounds(settings.max_rows, settings.earliest, settings.ahead)
    limits = Limits(bounds, settings.max_alarms, settings.max_buckets)
    prepared.app[CONTEXT] = Context(service, user.entry, connections, limits)
    prepared.app[ATTESTING] = attesting
    tls = ServerTls(attesting.issuer, prepared.blanks, session.serves)
    # one client may be quiet while another keeps the session from being idle
    idle = max(settings.session_idle, settings.session_length)
    async with connections.serving(prepared.app, sock, tls.base, idle):
        log.debug("listening", url=_url(sock))
        if session.uid is None:
            user.link.say(lines.WAITING_LOGIN)
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


@contextlib.asynccontextmanager
async def _alongside(work: Coroutine[Any, Any, T], name: str) -> AsyncIterator[asyncio.Task[T]]:
    """The work is done, as far as it comes, while the context lasts."""
    task = asyncio.create_task(work, name=name)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _unless_over(service: Service, work: Coroutine[Any, Any, T]) -> T:
    """What the work gives.

    Raises:
        SessionOverError: this process was asked to stop meanwhile.
    """
    async with _alongside(work, "first-certificate") as task:
        first: list[asyncio.Future[Any]] = [task, service.over]
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise SessionOverError("this process was asked to stop before it had a certificate")
        return task.result()


async def _attesting(source: Holder | ServerIssuer, hardened: Hardened) -> Attesting:
    """With a certificate.

    Raises:
        SettingsError: the wrapper does not give this process one, and would not the next time.
        ConnectionError: the wrapper cannot be asked.
    """
    if isinstance(source, ServerIssuer):
        return Attesting(source)
    try:
        return await Attesting.begun(source, hardened())
    except (RefusedError, EvidenceUnavailableError) as error:
        raise SettingsError(f"this server gets no certificate: {error}") from error
    except ChannelError as error:
        raise ConnectionError(f"this server gets no certificate: {error}") from error


async def _renewed(attesting: Attesting, hardened: Hardened, service: Service) -> None:
    """Keep the certificate good; without one, the process ends as soon as no session is open."""
    await attesting.keep(
        hardened(), lambda: service.idle, partial(service.end, StopReason.UNATTESTED)
    )


async def _end_when_lost(channel: Channel, service: Service) -> None:
    """Without its wrapper the process can show nobody what it is, and open no database; another one can."""
    await channel.lost.wait()
    log.error("channel_lost", text="this server ends as soon as nobody is logged in")
    service.end_when_idle(StopReason.UNATTESTED)


def _session(settings: Settings) -> Session:
    limits = SessionLimits(
        length=settings.session_length,
        most=settings.session_max,
        idle=settings.session_idle,
        login=settings.login_deadline,
        retry=settings.login_retry,
        tries=settings.login_tries,
        members=settings.members,
    )
    return Session(limits, dedicated=settings.dedicated_uid)


def _channel(settings: Settings, stack: contextlib.AsyncExitStack) -> Channel | None:
    if settings.attest_fd is None:
        return None
    try:
        return stack.enter_context(contextlib.closing(Channel(settings.attest_fd)))
    except (OSError, ValueError) as error:
        raise SettingsError(f"the channel to the wrapper cannot be used: {error}") from error


def _issuer(settings: Settings) -> ServerIssuer:
    try:
        return ServerIssuer.load(*issuer_files(settings))
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
