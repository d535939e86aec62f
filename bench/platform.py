"""A platform for an experiment: started by the real `standby up`, ended with the experiment however that ends."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from smartgrid_client.api import SmartGridClient
from smartgrid_client.connection import Address
from standby.identity import Role
from standby.ids import Uid
from standby.secret import Secret
from standby.tls import TlsFiles, client_context
from standby_cli import background, down, endpoints, enrollment
from standby_cli.endpoints import Endpoints
from standby_cli.layout import Layout

Say = Callable[[str], None]
_KEYS: Final = Role.CUSTOMER
"""Whose directory holds the first copy of a user's database key."""


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
    def context(self) -> ssl.SSLContext:
        """Made once, as a meter or a customer does that is one program."""
        return client_context(self.tls)

    def client(self, running: Endpoints) -> SmartGridClient:
        return SmartGridClient(Address(running.lb.host, running.lb.port, self.uid), self.context)

    def key(self) -> Secret:
        return Secret.from_hex(
            (self.directory / enrollment.KEY_FILE).read_text().strip(), enrollment.KEY_BYTES
        )


@contextlib.contextmanager
def platform(layout: Layout, options: Sequence[str], say: Say) -> Iterator[Endpoints]:
    """A platform that runs while the context lasts; `options` are those of `standby up`.

    Enter it in the main thread, before any other thread runs: the platform dies with the thread that started it.

    Raises:
        StartError: a part did not become ready.
        CommandError: the supervisor did not end in time.
    """
    arguments = ["--state-dir", str(layout.root), *options]
    supervisor = background.start(arguments, layout, say, outlive=False)
    try:
        yield endpoints.read(layout.endpoints)
    finally:
        asyncio.run(down.end_sessions(layout))
        down.bring_down(layout, lambda _text: None)
        supervisor.wait()


def enroll(
    layout: Layout, directory: Path, uids: Sequence[Uid]
) -> Mapping[tuple[Uid, Role], Access]:
    """Enroll the users, each with a customer's and a meter's certificate, into folders of `directory`."""

    async def main() -> None:
        for role in (Role.CUSTOMER, Role.METER):
            keys = directory / _KEYS if role is not _KEYS else None
            for uid in uids:
                key = keys / uid / enrollment.KEY_FILE if keys else None
                request = enrollment.Request((uid,), role, directory / role / uid, key, None)
                await enrollment.enroll(request, layout, lambda: None)

    asyncio.run(main())
    return {
        (uid, role): Access(uid, role, directory / role / uid)
        for uid in uids
        for role in (Role.CUSTOMER, Role.METER)
    }
