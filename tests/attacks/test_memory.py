"""What other processes, and a copy of the disk, tell of a user's data: while a session is open, and after it.

The data has a marker: one number that is nowhere else. It is looked for as it is sent, as SQLite stores it and as
Python holds it, and the key of the database as it is and in hex.
"""

import contextlib
import os
import shutil
import struct
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from smartgrid_client.api import SmartGridClient
from smartgrid_client.batches import Batch
from smartgrid_client.messages import Alarm, Metric
from smartgrid_client.readings import Reading
from smartgrid_server import database
from standby.identity import Role
from standby.processes import start_time
from tests.attacks import platforms, spy
from tests.attacks.platforms import STRANGER, Platform, spied, yama
from tests.support.platform import User
from tests.support.smartgrid import stored
from tests.support.waiting import eventually

MARKER: Final = 6173.482915604127
"""None of its eight bytes is zero, of which memory is full."""
_ROWS: Final = 256
"""A power of two, so that the average of equal numbers is this number."""
_AS_ROOT: Final = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
_REFUSED: Final = {
    "reads its memory": "EACCES",
    "copies its memory": "EPERM",
    "traces it": "EPERM",
    "sees its environment": "EACCES",
    "sees where its memory is": "EACCES",
    "sees what it has open": "EACCES",
    "opens what it has open": "EACCES",
    "takes what it has open": "EPERM",
}


@dataclass(frozen=True)
class Household:
    """A user with a meter."""

    platform: Platform
    customer: User
    meter: User

    @property
    def markers(self) -> list[bytes]:
        return [repr(MARKER).encode(), struct.pack("<d", MARKER), struct.pack(">d", MARKER)]

    @property
    def keys(self) -> list[bytes]:
        raw = bytes.fromhex((self.customer.directory / "db.key").read_text())
        return [raw, raw.hex().encode(), raw.hex().upper().encode()]

    @property
    def secrets(self) -> list[bytes]:
        return self.markers + self.keys

    @property
    def volume(self) -> Path:
        return self.platform.state_dir / "volumes" / self.customer.uid / "data"

    @property
    def server(self) -> int:
        return self.platform.server_of(self.customer.uid)

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[SmartGridClient]:
        """With the marker as a reading and as an alarm, which were written and read."""
        rows = tuple(Reading(1_600_000_000 + 15 * n, MARKER, MARKER, MARKER) for n in range(_ROWS))
        platform = self.platform
        async with platform.client(self.meter) as meter, platform.client(self.customer) as client:
            await meter.login(self.meter.key)
            await meter.long_write(Batch(rows))
            await client.login(self.customer.key)
            await client.write([Alarm(Metric.POWER, MARKER)])
            assert [each.threshold for each in await client.alarms()][-1] == MARKER
            assert (await client.query_avg(Metric.POWER)).average == MARKER
            await meter.logout()
            yield client


def _household(platform: Platform) -> Household:
    customer = platform.enroll("anna")
    key = customer.directory / "db.key"
    return Household(platform, customer, platform.enroll("anna", Role.METER, db_key=key))


@pytest.fixture(scope="module")
def closed(hardened: Platform) -> Household:
    return _household(hardened)


@pytest.fixture(scope="module")
def open_(unhardened: Platform) -> Household:
    return _household(unhardened)


async def test_a_program_of_the_same_account_learns_everything_of_a_server_that_is_not_hardened(
    open_: Household,
) -> None:
    if yama():
        pytest.skip("this kernel's Yama forbids it already")
    async with open_.session() as client:
        learned = spied(open_.platform, open_.server, open_.markers, open_.platform.account)
        await client.logout()
    assert not {each for each in learned.values() if isinstance(each, str)}
    assert set(learned) == set(_REFUSED)
    for way in ("reads its memory", "copies its memory"):
        assert learned[way], "the marker"


@pytest.mark.parametrize(
    "account",
    [
        pytest.param(platforms.operator(), id="same-account"),
        pytest.param(STRANGER, id="other-account", marks=_AS_ROOT),
    ],
)
async def test_no_program_learns_anything_of_a_hardened_server(
    closed: Household, account: int | None
) -> None:
    async with closed.session() as client:
        learned = spied(closed.platform, closed.server, closed.secrets, account)
        await client.logout()
    assert learned == _REFUSED


@_AS_ROOT
async def test_in_a_session_the_data_is_in_its_own_server_only_and_afterwards_in_no_process(
    closed: Household,
) -> None:
    """Looked at by root, who may read every process."""
    async with closed.session() as client:
        server = closed.server
        found = _knowing(closed)
        assert found.pop(server), "root finds the marker where it is used"
        assert not found
        await client.logout()
    await eventually(lambda: start_time(server) is None, "the server has ended")
    assert closed.platform.processes["servers"]
    assert not _knowing(closed)


def _knowing(household: Household) -> dict[int, list[int]]:
    """Which processes of the platform have which of the secrets in their memory."""
    pids = [pid for some in household.platform.processes.values() for pid in some]
    found = {}
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a server that ends
            found[pid] = spy.found(pid, household.secrets)
    assert len(found) > len(household.platform.processes), "servers too"
    return {pid: hits for pid, hits in found.items() if hits}


async def test_neither_data_nor_key_is_on_the_disk(closed: Household, tmp_path: Path) -> None:
    """In a session, with its journal, and after it; in volumes, logs, servers' directories and all the rest."""
    state = closed.platform.state_dir
    async with closed.session() as client:
        assert (closed.volume / f"{database.FILE_NAME}-wal").stat().st_size > 0
        assert [*(state / "wrappers" / "w1" / "slots").iterdir()]
        assert not [*_files_with(state, closed.secrets)]
        await client.logout()
    assert not [*_files_with(state, closed.secrets)]
    assert [*_files_with(closed.customer.directory, closed.secrets)] == [
        closed.customer.directory / "db.key"
    ]
    shutil.copytree(closed.volume, tmp_path / "copy")
    key = (closed.customer.directory / "db.key").read_text()
    assert MARKER in stored(tmp_path / "copy", "alarms", key)[-1]


def _files_with(directory: Path, secrets: list[bytes]) -> Iterator[Path]:
    for file in sorted(directory.rglob("*")):
        if file.is_file():
            content = file.read_bytes()
            if any(each in content for each in secrets):
                yield file
