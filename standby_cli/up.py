"""Starting a platform in a state directory, and keeping it until it is told to end."""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Iterator

from standby.identity import Role
from standby_cli.authorities import Authorities
from standby_cli.control import control
from standby_cli.errors import AlreadyRunningError, StartError, already_running
from standby_cli.layout import Layout
from standby_cli.parts import Options, Ports
from standby_cli.platform import Platform
from standby_cli.progress import READY, Tell


async def bring_up(options: Options, layout: Layout, tell: Tell, stop: asyncio.Event) -> None:
    """Run a platform until `stop` is set; also while it is still starting.

    Raises:
        AlreadyRunningError: another supervisor has this state directory.
        StartError: a part did not become ready, or cannot run.
    """
    layout.make()
    with _locked(layout), _reserved(options) as ports:
        authorities = _certify(layout)
        for wrapper_id in ports.wrappers:
            layout.wrapper(wrapper_id).mkdir(mode=0o700, parents=True, exist_ok=True)
        platform = Platform(options, ports, layout)
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


def _certify(layout: Layout) -> Authorities:
    authorities = Authorities(layout.pki)
    authorities.make()
    authorities.renew_issuer()
    authorities.part(Role.OPERATOR, "local")
    return authorities


@contextlib.contextmanager
def _reserved(options: Options) -> Iterator[Ports]:
    try:
        ports = Ports.reserve(options)
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
