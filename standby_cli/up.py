"""Starting a platform in a state directory, and keeping it until it is told to end."""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from app_wrapper.settings import Attestation
from attestation.trust import Trust
from standby.approach import Approach
from standby.identity import Role
from standby_cli import address, order_service, preflight, program, surroundings, trusted
from standby_cli.authorities import Authorities
from standby_cli.changes import Changes
from standby_cli.control import control
from standby_cli.endpoints import Address
from standby_cli.errors import AlreadyRunningError, ConfigurationError, already_running
from standby_cli.layout import Layout
from standby_cli.options import Options
from standby_cli.parts import Plan
from standby_cli.platform import Platform
from standby_cli.ports import Fixed, Ports, port_of
from standby_cli.progress import READY, Tell


async def bring_up(options: Options, layout: Layout, tell: Tell, stop: asyncio.Event) -> None:
    """Run a platform until `stop` is set; also while it is still starting.

    Raises:
        AlreadyRunningError: another supervisor has this state directory.
        SettingsError, ConfigurationError: it could not work, and nothing was started; see `preflight`.
        StartError: a part did not become ready, or cannot run.
        TrustError, PolicyError, MeasureError: nothing says by what servers are admitted.
        SealError: the platform's own keys cannot be opened.
        NoServerAdmittedError: no server proved to be what the policy admits.
    """
    surroundings.check(layout)
    layout.make()
    with _locked(layout), reserved(options, layout, tell) as ports:
        authorities = Authorities(layout)
        authorities.make()
        await preflight.check_parts(Plan(options, ports, layout, authorities), os.environ)
        preparing = _Preparing(options, layout, authorities)
        found = await preparing.trust(tell)
        tell(trusted.described(options.attestation, found))
        authorities.remove_issuers()
        for wrapper_id in ports.wrappers:
            preparing.wrapper(wrapper_id, found)
        authorities.part(Role.OPERATOR, "local")
        platform = Platform(Plan(options, ports, layout, authorities))
        platform.start()
        running = asyncio.create_task(_run(platform, preparing, tell))
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


async def _run(platform: Platform, preparing: "_Preparing", tell: Tell) -> None:
    async with control(preparing.authorities.operator()) as calls:
        await platform.until_ready(calls, tell)
        platform.publish()
        async with order_service.taken(preparing.layout, Changes(platform, calls, preparing.again)):
            tell(READY)
            await platform.keep_published(calls)


@dataclass(frozen=True)
class _Preparing:
    """What wrappers need before they start: a policy that admits their servers, an authority, a directory."""

    options: Options
    layout: Layout
    authorities: Authorities

    async def trust(self, tell: Tell, *, rolling: bool = False) -> Trust | None:
        """What servers are admitted by from now on; see `trusted.prepare` for the errors."""
        measure = partial(
            program.measured, self.options.attestation, self.layout, self.authorities.seal
        )
        prepare = partial(trusted.prepare, rolling=rolling)
        return await asyncio.to_thread(
            prepare, self.options, self.layout, self.authorities.seal, tell, measure
        )

    def wrapper(self, wrapper_id: str, found: Trust | None) -> None:
        if (
            self.options.attestation is not Attestation.SCONE_CAS
        ):  # its servers ask it for certificates
            self.authorities.renew_issuer(wrapper_id, found)
        self.layout.make_wrapper(wrapper_id)

    async def again(self, wrapper_id: str, tell: Tell) -> None:
        """For a wrapper of a running platform: by the policy that is installed by now."""
        installed = replace(self, options=replace(self.options, policy=None))
        found = await installed.trust(
            lambda text: None if text == trusted.MEASURING else tell(text), rolling=True
        )
        await asyncio.to_thread(self.wrapper, wrapper_id, found)
        await asyncio.to_thread(self.authorities.renew_stale_issuers, found)


@contextlib.contextmanager
def reserved(options: Options, layout: Layout, tell: Tell) -> Iterator[Ports]:
    """With the load balancer's port of the last time, if the operator has chosen none and it is free."""
    reserve = partial(
        Ports.reserve,
        options.host,
        wrappers=options.wrappers,
        manager=options.approach is not Approach.TRIVIAL,
        fixed=Fixed.given(os.environ),
    )
    kept = address.kept(layout)
    again = kept.port if kept and not options.port else 0
    try:
        ports = reserve(again or options.port)
    except ConfigurationError:
        if not again:
            raise
        ports = reserve(0)
        tell(f"port {again}, which clients know, is in use: another one was chosen")
    try:
        address.keep(layout, Address(host=options.host, port=port_of(ports.balancer)))
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
            raise AlreadyRunningError(already_running(layout.root)) from error
        os.truncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
        os.truncate(descriptor, 0)
    finally:
        os.close(descriptor)
