"""A platform for an experiment: started by the real `standby up`, ended with the experiment however that ends."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from attestation import trust
from attestation.trust_files import POLICY_FILE
from smartgrid_client.api import SmartGridClient
from smartgrid_client.connection import Address
from smartgrid_client.credentials import Credentials
from smartgrid_client.verifier import Verifier
from standby.identity import Role
from standby.ids import Uid
from standby.messages import PlatformState, StateCounts
from standby.secret import Secret
from standby.tls import TlsFiles
from standby_cli import background, down, endpoints, enrollment, user_key
from standby_cli.endpoints import Endpoints
from standby_cli.layout import Layout

Say = Callable[[str], None]
NO_LIMIT: Final = 1_000_000
"""Connections a second: as good as none."""
ONE_SOURCE: Final = {"LB_LUA_SOURCE_SHARE": "0", "LB_LUA_CONNECTION_RATE": str(NO_LIMIT)}
"""All users of an experiment come from one address."""
_ASK_AGAIN: Final = 0.01
"""Seconds; answering costs the Routing Manager a fraction of a millisecond."""


@dataclass(frozen=True)
class Access:
    """The files of one enrolled user's meter or customer."""

    uid: Uid
    role: Role
    directory: Path

    @property
    def tls(self) -> TlsFiles:
        return TlsFiles(
            certificate=self.directory / "client.pem",
            key=self.directory / "client-key.pem",
            authorities=self.directory / "ca.pem",
        )

    @cached_property
    def credentials(self) -> Credentials:
        """Loaded once, as by a meter or a customer that is one program."""
        return Credentials.load(self.tls)

    @cached_property
    def verifier(self) -> Verifier | None:
        """By the platform's policy; None if the user was given none, as attestation is off."""
        policy = self.directory / POLICY_FILE
        return Verifier(trust.load(policy)) if policy.exists() else None

    def client(self, running: Endpoints) -> SmartGridClient:
        address = Address(running.lb.host, running.lb.port, self.uid)
        return SmartGridClient(address, self.credentials, self.verifier)

    @property
    def key_file(self) -> Path:
        return self.directory / user_key.FILE

    def key(self) -> Secret:
        return Secret.from_hex(self.key_file.read_text().strip(), user_key.BYTES)


@contextlib.contextmanager
def platform(layout: Layout, options: Sequence[str], say: Say) -> Iterator[Endpoints]:
    """A platform that runs while the context lasts; `options` are those of `standby up`.

    Unless the environment says otherwise, its load balancer keeps to no budget of one source.

    Enter it in the main thread, before any other thread runs: the platform dies with the thread that started it.

    Raises:
        StartError: a part did not become ready.
        CommandError: the supervisor did not end in time.
    """
    arguments = ["--state-dir", str(layout.root), *options]
    with changed_environment(
        ONE_SOURCE | {name: os.environ[name] for name in ONE_SOURCE if name in os.environ}
    ):
        supervisor = background.start(arguments, layout, say, outlive=False)
    try:
        yield endpoints.read(layout.endpoints)
    finally:
        asyncio.run(down.end_sessions(layout))
        down.bring_down(layout, lambda _text: None)
        supervisor.wait()


def enroll(
    layout: Layout,
    directory: Path,
    uids: Sequence[Uid],
    roles: Sequence[Role] = (Role.CUSTOMER, Role.METER),
    source: Path | None = None,
) -> Mapping[tuple[Uid, Role], Access]:
    """Enroll the users, with a certificate for each role, into folders of `directory`; `source` fills their databases.

    Raises:
        EnrollError: the source cannot be used.
    """

    async def main() -> None:
        for number, role in enumerate(roles):
            keys = directory / roles[0] if number else None
            out = directory / role / (uids[0] if len(uids) == 1 else "")
            filled_from = None if number else source
            request = enrollment.Request(tuple(uids), role, out, keys, filled_from)
            await enrollment.enroll(request, layout, lambda: None)

    asyncio.run(main())
    return {
        (uid, role): Access(uid, role, directory / role / uid) for uid in uids for role in roles
    }


async def state_of(running: Endpoints, session: aiohttp.ClientSession) -> PlatformState:
    """As the Routing Manager sees the platform."""
    if running.routing_manager is None:
        raise RuntimeError("this platform has no Routing Manager")
    async with session.get(f"{running.routing_manager.url}/v1/state") as response:
        return msgspec.json.decode(await response.read(), type=PlatformState)


async def until_state(
    running: Endpoints, session: aiohttp.ClientSession, reached: Callable[[StateCounts], bool]
) -> None:
    """Ask now and then: the platform's events are too slow for a measurement."""
    while not reached((await state_of(running, session)).counts):  # noqa: ASYNC110  # as it says
        await asyncio.sleep(_ASK_AGAIN)


@contextlib.contextmanager
def changed_environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Variables of this process, which the platform's parts inherit, while the context lasts."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
