"""Who stores a user's volume puts an older state of it back. It decrypts as well; what others remember gives it away.

Sessions are real; between them files are exchanged, as somebody who has the disks could. There are three memories: the
generation in the volume itself, the platform's record, and what the client was told at LOGOUT.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from app_wrapper.volumes import record
from smartgrid_client.errors import ClientError, RefusedError
from smartgrid_client.freshness import FILE_NAME as MEMORY
from smartgrid_client.freshness import VERIFIED
from smartgrid_client.messages import Alarm, Freshness, Login, Metric
from smartgrid_server.database import FILE_NAME as DATABASE
from tests.attacks.platforms import Platform
from tests.support.certificates import Certificates
from tests.support.platform import User
from tests.support.smartgrid import Client, new_volume, running, volumes
from tests.support.waiting import eventually

_PAGE: Final = 4096
PutBack = Callable[[Path, Path], None]
_OLD, _NEW, _NEWER = 1.0, 2.0, 3.0
_UIDS: Final = tuple(f"victim-{number}" for number in range(11))
_OLDER: Final = "older_data"


@dataclass(frozen=True)
class Disks:
    """Everything that a platform stores of one user and that somebody could put back."""

    database: Path
    generation: Path
    record: Path

    @classmethod
    def of(cls, platform: Platform, uid: str) -> "Disks":
        volume = platform.state_dir / "volumes" / uid
        return cls(
            volume / record.DATA / DATABASE,
            volume / record.GENERATION,
            platform.state_dir / "trust" / "freshness" / f"{uid}.freshness",
        )

    def copied_to(self, directory: Path) -> "Disks":
        """A copy of all of it."""
        directory.mkdir()
        files = (self.database, self.generation, self.record)
        return Disks(*(Path(shutil.copy(file, directory)) for file in files))


def _put_back(file: Path, older: Path) -> None:
    """The content only, so that it stays whose it is."""
    file.write_bytes(older.read_bytes())


def _put_back_page(file: Path, older: Path) -> None:
    """One page only, the last that differs; the table of alarms is in it."""
    old, new = older.read_bytes(), file.read_bytes()
    assert len(old) == len(new)
    places = range(0, len(new), _PAGE)
    *others, place = [n for n in places if old[n : n + _PAGE] != new[n : n + _PAGE]]
    assert others, "the two states differ in more than that"
    file.write_bytes(new[:place] + old[place : place + _PAGE] + new[place + _PAGE :])


@dataclass(frozen=True)
class Seen:
    """Of one session."""

    login: Login
    alarms: list[float]
    told: Freshness | None
    """By LOGOUT."""


@dataclass(frozen=True)
class Victim:
    """A user who has had two sessions."""

    platform: Platform
    user: User
    disks: Disks
    first: Disks
    """As they were after the first session."""
    last: Disks
    told: Freshness
    """At the end of the last one."""

    async def session(self, presented: Freshness | None = None) -> Seen:
        return await _session(self.platform, self.user, presented)

    async def refused(self, presented: Freshness | None = None) -> str:
        """The code."""
        with pytest.raises(RefusedError) as caught:
            await self.session(presented)
        return caught.value.reason


async def _session(
    platform: Platform, user: User, presented: Freshness | None = None, *alarms: float
) -> Seen:
    """From LOGIN to LOGOUT, with these new alarms; comes again while there is no server."""

    async def tried() -> list[Seen]:
        try:
            async with platform.client(user) as client:
                login = await client.login(user.key, presented)
                if alarms:
                    await client.write([Alarm(Metric.POWER, each) for each in alarms])
                found = [each.threshold for each in await client.alarms()]
                return [Seen(login, found, await client.logout())]
        except ClientError as error:
            if not error.retry:
                raise
            return []

    (seen,) = await eventually(tried, "a session", deadline=20)
    await eventually(lambda: not _held(platform, user.uid), "the volume is given back")
    return seen


def _held(platform: Platform, uid: str) -> bool:
    claim = platform.state_dir / "volumes" / uid / record.CLAIM
    return bool(claim.read_bytes().split(b"\n", 1)[0])


@pytest.fixture(scope="module")
def users(hardened: Platform) -> Iterator[User]:
    return iter(hardened.enroll_many([*_UIDS]))


@pytest.fixture
async def victim(hardened: Platform, users: Iterator[User], tmp_path: Path) -> Victim:
    user = next(users)
    disks = Disks.of(hardened, user.uid)
    first = await _session(hardened, user, None, _OLD)
    after_first = disks.copied_to(tmp_path / "first")
    last = await _session(hardened, user, first.told, _NEW)
    assert last.login.freshness == VERIFIED
    assert last.told is not None
    copies = after_first, disks.copied_to(tmp_path / "last")
    return Victim(hardened, user, disks, *copies, last.told)


_WAYS: Final = pytest.mark.parametrize(
    "put_back",
    [pytest.param(_put_back, id="database"), pytest.param(_put_back_page, id="one-page")],
)


@_WAYS
@pytest.mark.parametrize("with_generation", [False, True])
async def test_the_platforms_record_does_not_fit_what_was_put_back(
    victim: Victim, put_back: PutBack, *, with_generation: bool
) -> None:
    """The client need not remember anything. When the newest is there again, all is well."""
    put_back(victim.disks.database, victim.first.database)
    if with_generation:
        _put_back(victim.disks.generation, victim.first.generation)
    assert await victim.refused() == _OLDER
    _put_back(victim.disks.database, victim.last.database)
    seen = await victim.session()
    assert seen.login.freshness == VERIFIED
    assert seen.alarms == [_OLD, _NEW]


@_WAYS
async def test_with_the_platforms_record_put_back_too_only_the_client_notices(
    victim: Victim, put_back: PutBack
) -> None:
    put_back(victim.disks.database, victim.first.database)
    _put_back(victim.disks.generation, victim.first.generation)
    _put_back(victim.disks.record, victim.first.record)
    assert await victim.refused(victim.told) == _OLDER


async def test_a_client_that_remembers_nothing_is_deceived_by_the_platforms_whole_past(
    victim: Victim,
) -> None:
    """The difference to the one before, and what is not promised."""
    _put_back(victim.disks.database, victim.first.database)
    _put_back(victim.disks.generation, victim.first.generation)
    _put_back(victim.disks.record, victim.first.record)
    seen = await victim.session()
    assert seen.alarms == [_OLD]
    assert seen.login.freshness == VERIFIED


async def test_after_a_server_was_killed_nothing_is_refused_but_the_user_is_told(
    victim: Victim,
) -> None:
    """Who can end a server in a session takes the records their worth; `unknown` is what is left of them."""
    async with victim.platform.client(victim.user) as client:
        await client.login(victim.user.key, victim.told)
        server = victim.platform.server_of(victim.user.uid)
        os.kill(server, signal.SIGKILL)
        await eventually(lambda: not _held(victim.platform, victim.user.uid), "it has ended")
    for left in victim.disks.database.parent.glob(f"{DATABASE}-*"):
        left.unlink()
    _put_back(victim.disks.database, victim.first.database)
    seen = await victim.session(victim.told)
    assert seen.alarms == [_OLD]
    assert seen.login.freshness == "unknown"
    assert "not closed properly" in seen.login.freshness_text


async def test_a_user_may_accept_older_data_and_is_told_so(victim: Victim) -> None:
    """With the command, which keeps what it was told beside the key."""
    user = victim.user
    (user.directory / MEMORY).write_bytes(msgspec.json.encode(victim.told))
    _put_back(victim.disks.database, victim.first.database)
    refused = _command(victim)
    assert refused.returncode == 1
    assert "FAILED older_data" in refused.stdout
    accepted = _command(victim, "--accept-older-data")
    assert accepted.returncode == 0, accepted.stderr
    (warning,) = [line for line in accepted.stderr.splitlines() if "freshness" in line]
    assert warning.startswith("freshness of the data is unknown")
    assert warning.endswith("you have accepted that")
    seen = await victim.session()
    assert seen.login.freshness == VERIFIED, "from now on this is the data"
    assert seen.alarms[0] == _OLD
    assert _NEW not in seen.alarms


async def test_a_user_whose_data_was_restored_is_told_the_truth(victim: Victim) -> None:
    """It is older than what they left, and theirs again as soon as they accept that; the restore can be undone."""
    uid = victim.user.uid
    before = await _copy(victim, victim.told)
    left = (await _session(victim.platform, victim.user, victim.told, _NEWER)).told
    assert left is not None
    last = await _copy(victim, left)
    restored = _volumes(victim, "restore", uid, "--copy", str(before["number"]))
    assert (restored["restored"], restored["replaced"]) == (before, last)
    assert await victim.refused() == _OLDER
    assert await victim.refused(left) == _OLDER
    again = _volumes(victim, "restore", uid, "--copy", str(last["number"]))
    seen = await victim.session(left)
    assert (seen.login.freshness, seen.alarms) == (VERIFIED, [_OLD, _NEW, _NEWER])
    _volumes(victim, "restore", uid, "--copy", str(again["replaced"]["number"]))
    (victim.user.directory / MEMORY).write_bytes(msgspec.json.encode(seen.told))
    assert _command(victim, "--accept-older-data").returncode == 0
    alarms = (await victim.session()).alarms
    assert alarms[:2] == [_OLD, _NEW]
    assert _NEWER not in alarms


async def test_nothing_is_restored_under_a_user_who_has_a_session(victim: Victim) -> None:
    await _copy(victim, victim.told)
    async with victim.platform.client(victim.user) as client:
        await client.login(victim.user.key, victim.told)
        refused = victim.platform.standby("volumes", "restore", victim.user.uid, check=False)
        assert refused.returncode == 8
        assert "has a session" in refused.stderr
        assert [each.threshold for each in await client.alarms()] == [_OLD, _NEW]
        await client.logout()


async def _copy(victim: Victim, told: Freshness) -> dict[str, Any]:
    """Of what that session left, once it was made."""

    def copied() -> dict[str, Any]:
        newest: dict[str, Any] = _volumes(victim, "show", victim.user.uid)["copies"][-1]
        return newest if newest["generation"] == told.generation else {}

    return await eventually(copied, "the session is copied")


def _volumes(victim: Victim, *arguments: str) -> Any:
    """What the operator's command prints as data."""
    return msgspec.json.decode(victim.platform.standby("volumes", *arguments, "--json").stdout)


def _command(victim: Victim, *options: str) -> "subprocess.CompletedProcess[str]":
    """A short session of a customer who writes one alarm, or nothing."""
    user, platform = victim.user, victim.platform
    return platform.installation.run(
        "smartgrid_client",
        "--server", "127.0.0.1", "--port", str(platform.port), "--sni", user.uid,
        "--cert", user.tls.certificate, "--key", user.tls.key, "--ca", user.tls.authorities,
        "--keydir", user.directory, "--mode", "customer", "--duration", "0.1",
        "--frequency", "0.1", "--write-ratio", "0", *options,
    )  # fmt: skip


async def test_where_nobody_remembers_nobody_notices(
    certificates: Certificates, tmp_path: Path
) -> None:
    """A server without a channel to a wrapper, and a client that presents nothing."""
    volume = new_volume(tmp_path, "alice")
    older = tmp_path / "older.db"
    for alarm in (_OLD, _NEW):
        async with (
            running(certificates, volumes(alice=volume)) as server,
            Client(certificates, server) as client,
        ):
            await client.login()
            await client.post("write", {"alarms": [{"metric": "power", "threshold": alarm}]})
            await client.logout()
            assert await server.ends() == 0
        if alarm == _OLD:
            shutil.copy(volume / DATABASE, older)
    _put_back_page(volume / DATABASE, older)
    async with (
        running(certificates, volumes(alice=volume)) as server,
        Client(certificates, server) as client,
    ):
        login = await client.login()
        assert (login.status, login.body["freshness"]) == (200, "unknown")
        (alarm,) = (await client.get("alarms")).body["alarms"]
        assert alarm["threshold"] == _OLD
