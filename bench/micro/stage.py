"""What the measurements share: platforms that run while a `with` lasts, users, and time taken in turns."""

import contextlib
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bench.platform import (
    Access,
    changed_environment,
    enroll,
    platform,
    state_of,
    until_state,
)
from smartgrid_client.api import SmartGridClient
from standby.identity import Role
from standby.ids import Uid
from standby.messages import PlatformState
from standby_cli.endpoints import Endpoints
from standby_cli.layout import Layout


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    rounds: int
    """Turns of each variant."""
    pool: int
    """Servers whose memory is measured."""
    instances: int
    """Known to the large Routing Manager."""
    rows: int
    """In the database that is queried."""
    seconds: float
    """Of each turn that is measured by its length."""


FULL = Scale(rounds=60, pool=100, instances=50_000, rows=1_000_000, seconds=5.0)
QUICK = Scale(rounds=8, pool=10, instances=5_000, rows=100_000, seconds=1.0)


@dataclass(frozen=True)
class Stage:
    """One running platform and its users."""

    running: Endpoints
    layout: Layout
    users: Mapping[tuple[Uid, Role], Access]

    def client(self, uid: str, role: Role = Role.CUSTOMER) -> SmartGridClient:
        return self.users[Uid(uid), role].client(self.running)

    def access(self, uid: str, role: Role = Role.CUSTOMER) -> Access:
        return self.users[Uid(uid), role]

    async def state(self, session: aiohttp.ClientSession) -> PlatformState:
        """As the Routing Manager sees the platform."""
        return await state_of(self.running, session)

    async def until_full(self, session: aiohttp.ClientSession, pool: int) -> None:
        """Return once that many servers are READY."""
        await until_state(self.running, session, lambda counts: pool <= counts.READY)

    async def until_active(self, session: aiohttp.ClientSession) -> None:
        """Return once the report of somebody's LOGIN has arrived."""
        await until_state(self.running, session, lambda counts: counts.ACTIVE > 0)


@contextlib.contextmanager
def staged(
    options: Sequence[str], uids: Sequence[str], environ: Mapping[str, str] | None = None
) -> Iterator[Stage]:
    """A platform started with these options of `standby up`, and enrolled users.

    Raises:
        StartError: a part did not become ready.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        layout = Layout(Path(scratch) / "state")
        with (
            changed_environment(environ or {}),
            platform(layout, options, lambda _text: None) as running,
        ):
            users = enroll(layout, Path(scratch) / "users", [Uid(uid) for uid in uids])
            yield Stage(running, layout, users)


async def in_turns(
    variants: Mapping[str, Callable[[], Awaitable[float]]], rounds: int, warm_up: int = 2
) -> dict[str, list[float]]:
    """What each variant returns, each in turn, `rounds` times; the first `warm_up` rounds are left out.

    Every second round goes backwards, so that no variant always follows the same one.
    """
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(warm_up + rounds):
        names = list(variants)
        for name in names if number % 2 else reversed(names):
            value = await variants[name]()
            if number >= warm_up:
                taken[name].append(value)
    return taken


def milliseconds_since(began: float) -> float:
    """Since a moment of `time.perf_counter`."""
    return (time.perf_counter() - began) * 1000
