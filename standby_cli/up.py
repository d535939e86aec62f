"""Starting a platform in a state directory, and keeping it until it is told to end."""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from functools import partial

from app_wrapper.settings import Attestation
from attestation.trust import Trust
from standby.identity import Role
from standby_cli import program, trusted
from standby_cli.authorities import Authorities
from standby_cli.control import control
from standby_cli.errors import AlreadyRunningError, StartError, already_running
from standby_cli.layout import Layout
from standby_cli.parts import Approach, Options, Plan
from standby_cli.platform import Platform
from standby_cli.ports import Ports
from standby_cli.progress import READY, Tell


async def bring_up(options: Options, layout: Layout, tell: Tell, stop: asyncio.Event) -> None:
    """Run a platform until `stop` is set; also while it is still starting.

    Raises:
        AlreadyRunningError: another supervisor has this state directory.
        StartError: a part did not become ready, or cannot run.
        TrustError, PolicyError, MeasureError: nothing says by what servers are admitted.
        SealError: the platform's own keys cannot be opened.
        NoServerAdmittedError: no server proved to be what the policy admits.
    """
    layout.make()
    with _locked(layout), _reserved(options) as ports:
        authorities = Authorities(layout)
        measure = partial(program.measured, options.attestation, layout)
        found = await asyncio.to_thread(
            trusted.prepare, options, layout, authorities.seal, tell, measure
        )
        tell(trusted.described(options.attestation, found))
        asking = options.attestation is not Attestation.SCONE_CAS
        _certify(authorities, ports.wrappers if asking else (), found)
        for wrapper_id in ports.wrappers:
            layout.make_wrapper(wrapper_id)
        platform = Platform(Plan(options, ports, layout, authorities))
        platform.start()
        running = asyncio.create_task(_run(platform, authorities, tell))
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                await running
        finally:
            tell("stopping")
            for task in (running, stopped):
                task.cancel()
            await asyncio.gather(running, stopped, return_exceptions=True)
            await platform.stop()


async def _run(platform: Platform, authorities: Authorities, tell: Tell) -> None:
    async with control(authorities.operator()) as calls:
        await platform.until_ready(calls, tell)
        platform.publish()
        tell(READY)
        await platform.keep_published(calls)


def _certify(authorities: Authorities, wrappers: Iterable[str], found: Trust | None) -> None:
    """`wrappers`: those whose servers ask them for certificates."""
    authorities.make()
    authorities.remove_issuers()
    for wrapper_id in wrappers:
        authorities.renew_issuer(wrapper_id, found)
    authorities.part(Role.OPERATOR, "local")


@contextlib.contextmanager
def _reserved(options: Options) -> Iterator[Ports]:
    try:
        manager = options.approach is not Approach.TRIVIAL
        ports = Ports.reserve(options.host, options.port, options.wrappers, manager=manager)
    except OSError as error:
        raise StartError(f"cannot use {options.host}:{options.port}: {error.strerror}") from error
    try:
        yield ports
    finally:
        ports.close()


@contextlib.contextmanager
def _locked(layout: Layout) -> Iterator[None]:
    """Hold the state directory; the lock ends with this process, however it ends."""
    descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunningError(already_running(layout)) from error
        os.truncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
        os.truncate(descriptor, 0)
    finally:
        os.close(descriptor)
