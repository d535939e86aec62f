"""Strangers without a certificate flood the load balancer, and users are served all the same."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from bench.flood.strangers import Came, Flood, Kind, flooding
from smartgrid_client import requests
from smartgrid_client.api import SmartGridClient
from smartgrid_client.session import Session
from tests.support.platform import RunningPlatform, User, platform

pytestmark = pytest.mark.timeout(600)
_DEADLINE = 60.0
"""Seconds; how long it takes is measured by `python -m bench.flood`."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    with platform(tmp_path_factory.mktemp("p"), "--pool-size", "4") as started:
        yield started


@pytest.fixture(scope="module")
def users(running: RunningPlatform) -> list[User]:
    return running.enroll_many(["quiet", "known"])


@contextlib.asynccontextmanager
async def _session(
    running: RunningPlatform, user: User
) -> AsyncIterator[tuple[SmartGridClient, Session]]:
    client = running.client(user)
    session = Session(client, user.key, lambda _attempt: None, stop=asyncio.Event())
    async with session:
        yield client, session


@pytest.mark.parametrize("sources", [1, 16])
@pytest.mark.parametrize(
    ("kind", "connections"),
    [(Kind.NAMES, 4_100), (Kind.IDLE, 9_000), (Kind.TRICKLE, 4_100), (Kind.CHURN, 200)],
)
async def test_a_user_with_a_session_and_one_from_a_quiet_address_are_served(
    running: RunningPlatform, users: list[User], kind: Kind, connections: int, sources: int
) -> None:
    quiet, known = users
    log = running.state_dir / "logs" / "haproxy.log"
    async with _session(running, known) as (client, session):
        logged = log.stat().st_size
        with flooding(Flood(kind, connections, sources), running.port, Came()):
            for _ in range(3):
                async with asyncio.timeout(_DEADLINE), _session(running, quiet):
                    pass
                async with asyncio.timeout(_DEADLINE):
                    await client.disconnect()
                    await session.perform(requests.alarms())
        assert "not enough free sockets" not in log.read_text()[logged:]
