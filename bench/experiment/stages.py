"""Platforms under test, kept while runs to come need them.

Starting a server for each user takes longer than a run, so a platform serves all runs that can use it; the next one
begins when its pool is full. Platforms of all systems that are compared are up at the same time, and idle unless it is
their turn, unless an experiment wants each alone.
"""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import aiohttp
from msgspec import Struct

from bench.experiment.job import Client, Credentials
from bench.experiment.plan import CellPlan, Sessions
from bench.experiment.record import System
from bench.platform import Access, Say, changed_environment, enroll, platform, until_state
from smartgrid_client.generator import generate
from smartgrid_client.readings import PLAIN_HEADER
from standby.identity import Role
from standby.ids import Uid
from standby_cli import endpoints
from standby_cli.endpoints import Endpoints
from standby_cli.layout import Layout

_ROLES: Final = {Client.METER: Role.METER, Client.CUSTOMER: Role.CUSTOMER}
_HISTORY_FROM: Final = 1_690_000_000 // 3600 * 3600
"""Unix seconds; before everything that a run sends."""
_FILL: Final = 120.0
"""Seconds for a pool to be full again."""
_WAITING_STARTS: Final = 4


class Needs(Struct, frozen=True, kw_only=True):
    """What a run needs; runs with equal needs can share a platform."""

    system: System
    users: int
    servers: int
    client: Client
    history: int
    provisioning_delay: float

    @classmethod
    def of(cls, experiment: Sessions, cell: CellPlan) -> "Needs":
        if cell.system is None:
            raise ValueError("sessions are served by a system")
        return cls(
            system=cell.system,
            users=int(cell.levels["users"]),
            servers=int(cell.levels["servers"]),
            client=Client.METER if experiment.hours else Client.CUSTOMER,
            history=experiment.history,
            provisioning_delay=experiment.provisioning_delay,
        )

    @property
    def uids(self) -> list[Uid]:
        return [Uid(f"user-{number}") for number in range(self.users)]

    @property
    def environ(self) -> dict[str, str]:
        """For the platform's parts."""
        changes = {
            "APP_WRAPPER_LAUNCHER": self.system.launcher,
            "APP_WRAPPER_PROVISIONING_DELAY": str(self.provisioning_delay),
            "APP_WRAPPER_CAPACITY": str(max(self.servers, 1)),
            # one address sends everything here, which is nothing that these limits are against
            "ROUTING_MANAGER_RESERVATIONS_PER_SOURCE": str(max(self.servers, 100)),
        }
        if self.system.approach == "trivial":  # nobody is served yet who could be disturbed
            changes["APP_WRAPPER_CONCURRENT_STARTS"] = str(os.cpu_count() or 1)
        if self.system.simulated:  # their starts wait, they do not compute
            changes["APP_WRAPPER_CONCURRENT_STARTS"] = str(_WAITING_STARTS)
        return changes


@dataclass(frozen=True)
class Stage:
    """One running platform."""

    needs: Needs
    layout: Layout
    users: Mapping[str, Access]

    @property
    def running(self) -> Endpoints:
        """As it is now: a part may have been started again."""
        return endpoints.read(self.layout.endpoints)

    def credentials(self, uid: str) -> Credentials:
        access = self.users[uid]
        return Credentials(tls=access.tls, key_file=access.key_file)

    def until_ready(self) -> None:
        """Return once the pool is full.

        Raises:
            TimeoutError: it does not fill.
        """
        if self.needs.system.approach == "standby":
            asyncio.run(_full(self.running, self.needs.servers))


class Stages:
    """The platforms that are up."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._open: dict[Needs, tuple[Stage, contextlib.ExitStack]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.keep(())

    def get(self, needs: Needs) -> Stage:
        """The platform, started if it is not up yet.

        Raises:
            StartError: a part did not become ready.
        """
        if needs not in self._open:
            with contextlib.ExitStack() as stack:
                stage = stack.enter_context(_started(needs, self._say))
                self._open[needs] = (stage, stack.pop_all())
        return self._open[needs][0]

    def keep(self, wanted: "tuple[Needs, ...]") -> None:
        """End all others."""
        for needs in [each for each in self._open if each not in wanted]:
            self._say(f"ending {needs.system.name}")
            _, stack = self._open.pop(needs)
            stack.close()


@contextlib.contextmanager
def _started(needs: Needs, say: Say) -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="experiment-") as scratch:
        layout = Layout(Path(scratch) / "state")
        role = _ROLES[needs.client]
        say(f"enrolling {needs.users} users for {needs.system.name}")
        source = _history(Path(scratch), needs.history) if needs.history else None
        users = enroll(layout, Path(scratch) / "users", needs.uids, (role,), source)
        options = ["--approach", needs.system.approach, "--pool-size", str(needs.servers)]
        options += [
            "--attestation",
            "off",
        ]  # the dissertation's figures are without, see bench.micro
        say(f"starting {needs.system.name} with {needs.servers} servers")
        with (
            changed_environment(needs.environ),
            platform(layout, options, lambda _text: None),
        ):
            yield Stage(needs, layout, {uid: users[uid, role] for uid in needs.uids})


def _history(directory: Path, hours: int) -> Path:
    """A file of readings that every user has from the beginning."""
    file = directory / "history.csv"
    rows = generate(_HISTORY_FROM, _HISTORY_FROM + hours * 3600, "history")
    file.write_text("\n".join([PLAIN_HEADER, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return file


async def _full(running: Endpoints, servers: int) -> None:
    async with asyncio.timeout(_FILL), aiohttp.ClientSession() as session:
        await until_state(running, session, lambda counts: servers <= counts.READY)
