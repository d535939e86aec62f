"""Older copies of a user's database, put before real server processes: with a record kept by the wrapper, and without.

Also what the key of a LOGIN needs of a process that has given up its rights.
"""

import base64
import contextlib
import datetime as dt
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from attestation.issuing.freshness import FreshnessStore
from attestation.issuing.issuer import Unattested, authority_name
from attestation.issuing.messages import (
    Answer,
    Kept,
    LastSeen,
    Left,
    Opened,
    Record,
    Refused,
    Request,
    Seen,
)
from smartgrid_server import cipher, database
from smartgrid_server.freshness import tag_of
from standby import lines, pki
from standby.hardening import Places, Plan, harden
from standby.hardening.libraries import library_places
from standby.ids import Generation, Uid
from standby.seal import PLAIN
from standby.states import StopReason
from tests.integration.smartgrid_server.test_attesting import launched
from tests.integration.standby import in_child
from tests.support.attesting import WrapperEnd
from tests.support.certificates import Certificates
from tests.support.smartgrid import (
    OTHER_KEY,
    Client,
    Reply,
    Server,
    files_of,
    new_volume,
    running,
    secret,
)

ALARM = {"alarms": [{"metric": "power", "threshold": 9.5}]}
ALICE = Uid("alice")


@dataclass
class RecordingEnd(WrapperEnd):
    """A wrapper's end that keeps records."""

    store: FreshnessStore | None = None

    def _answer(self, request: Request) -> Answer:
        assert self.store is not None
        match request:
            case LastSeen(uid):
                return Seen(self.store.last_seen(uid))
            case Opened(uid, generation):
                self.store.opened(uid, generation)
                return Kept()
            case Left(uid, generation, tag):
                self.store.left(uid, generation, tag)
                return Kept()
            case _:
                return super()._answer(request)


@dataclass
class Place:
    """A user's volume, and the servers that get it one after another."""

    certificates: Certificates
    directory: Path
    generation: int = 0
    refused: dict[type[Request], Answer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.volume = new_volume(self.directory, "alice")
        self.file = self.volume / database.FILE_NAME
        self.store = FreshnessStore(self.directory / "records", PLAIN)
        name, usage = authority_name(None), pki.Usage(server=True)
        self.authority = self.certificates.servers.intermediate(
            name, dt.timedelta(days=1), usage, path_length=1
        )

    @contextlib.asynccontextmanager
    async def server(self, *, recorded: bool, **settings: Any) -> AsyncIterator[Server]:
        self.generation += 1
        answers = {"alice": lines.Volume(str(self.volume), Generation(self.generation))}
        wrapper = RecordingEnd(
            Unattested(self.authority), store=self.store, instead={**self.refused}
        )
        async with (
            launched(self.certificates, wrapper, answers, **settings)
            if recorded
            else running(self.certificates, answers, **settings)
        ) as server:
            yield server

    async def login(self, client: Client, kept: Any = None, *, accept_older: bool = False) -> Reply:
        return await client.login(freshness=kept, accept_older=accept_older)

    async def session(
        self, *, recorded: bool, kept: Any = None, accept_older: bool = False
    ) -> tuple[Any, Any]:
        """Of a server of its own, with one write. LOGIN's body, and what LOGOUT gave the client to keep."""
        async with (
            self.server(recorded=recorded) as server,
            Client(self.certificates, server) as client,
        ):
            login = await self.login(client, kept, accept_older=accept_older)
            assert login.status == 200, login.body
            assert (await client.post("write", ALARM)).status == 200
            logout = await client.logout()
            assert logout.body["ended"]
            assert await server.ends() == 0
            return login.body, logout.body["freshness"]

    async def refused_login(
        self, *, recorded: bool, kept: Any = None, reason: StopReason = StopReason.OLDER_DATA
    ) -> Reply:
        async with (
            self.server(recorded=recorded) as server,
            Client(self.certificates, server) as client,
        ):
            reply = await self.login(client, kept)
            assert await server.ends() == 0
            assert server.said[-1] == f"LOGOUT {reason}"
            return reply


@pytest.fixture
def place(certificates: Certificates, tmp_path: Path) -> Place:
    return Place(certificates, tmp_path)


@pytest.mark.parametrize("recorded", [True, False])
async def test_from_the_first_session_on_the_data_is_what_it_was_when_it_was_left(
    place: Place, *, recorded: bool
) -> None:
    first, kept = await place.session(recorded=recorded)
    assert (first["freshness"], first["generation"]) == ("unknown", 1)
    assert "first session" in first["freshness_text"]
    tag = tag_of(place.file)
    assert kept == {"generation": 1, "tag": base64.b64encode(tag).decode()}
    assert place.store.last_seen(ALICE) == (Record(Generation(1), tag) if recorded else None)
    second, _ = await place.session(recorded=recorded, kept=kept)
    assert second["freshness"] == "verified"


@pytest.mark.parametrize("recorded", [True, False])
async def test_an_older_copy_is_refused_until_it_is_accepted_or_the_newest_is_back(
    place: Place, tmp_path: Path, *, recorded: bool
) -> None:
    shutil.copy(place.file, tmp_path / "older")
    _, kept = await place.session(recorded=recorded)
    shutil.copy(place.file, tmp_path / "newest")
    shutil.copy(tmp_path / "older", place.file)
    reply = await place.refused_login(recorded=recorded, kept=kept)
    assert (reply.status, reply.code) == (409, "older_data")
    assert "--accept-older-data" in reply.body["error"]["message"]

    shutil.copy(tmp_path / "newest", place.file)
    again, kept = await place.session(recorded=recorded, kept=kept)
    assert again["freshness"] == "verified"

    shutil.copy(tmp_path / "older", place.file)
    accepted, kept = await place.session(recorded=recorded, kept=kept, accept_older=True)
    assert accepted["freshness"] == "unknown"
    assert "accepted" in accepted["freshness_text"]
    again, _ = await place.session(recorded=recorded, kept=kept)
    assert again["freshness"] == "verified"


@pytest.mark.parametrize("recorded", [True, False])
async def test_a_volume_that_is_put_back_with_its_generation_is_refused(
    place: Place, tmp_path: Path, *, recorded: bool
) -> None:
    shutil.copy(place.file, tmp_path / "older")
    await place.session(recorded=recorded)
    _, kept = await place.session(recorded=recorded)
    place.generation = 0
    shutil.copy(tmp_path / "older", place.file)
    reply = await place.refused_login(recorded=recorded, kept=kept)
    assert reply.code == "older_data"
    assert "its generation is 1" in reply.body["error"]["message"]


async def test_a_journal_with_old_pages_beside_the_newest_database_is_refused(
    place: Place, tmp_path: Path
) -> None:
    journal = place.file.with_name(place.file.name + "-wal")
    async with (
        place.server(recorded=True) as server,
        Client(place.certificates, server) as client,
    ):
        await place.login(client)
        await client.post("write", ALARM)
        shutil.copy(journal, tmp_path / "old-wal")
        await client.logout()
        await server.ends()
    assert files_of(place.volume) == [database.FILE_NAME]
    shutil.copy(tmp_path / "old-wal", journal)
    assert (await place.refused_login(recorded=True)).code == "older_data"


async def test_after_kill_9_nothing_is_known_and_nothing_is_refused(place: Place) -> None:
    _, kept = await place.session(recorded=True)
    async with (
        place.server(recorded=True) as server,
        Client(place.certificates, server) as client,
    ):
        assert (await place.login(client, kept)).body["freshness"] == "verified"
        await client.post("write", ALARM)
        server.process.kill()
        await server.ends()
    assert place.store.last_seen(ALICE) == Record(Generation(2), None)
    after, _ = await place.session(recorded=True, kept=kept)
    assert after["freshness"] == "unknown"
    assert "not closed properly" in after["freshness_text"]
    again, _ = await place.session(recorded=True, kept=kept)
    assert again["freshness"] == "verified"


@pytest.mark.parametrize("request_", [LastSeen, Opened])
async def test_without_the_wrappers_word_nobody_is_let_in(
    place: Place, request_: type[Request]
) -> None:
    place.refused[request_] = Refused("freshness_unwritable", "the disk is full")
    before = place.file.read_bytes()
    reply = await place.refused_login(recorded=True, reason=StopReason.REFUSED)
    assert (reply.status, reply.code) == (503, "freshness_unavailable")
    assert "the disk is full" in reply.body["error"]["message"]
    assert place.file.read_bytes() == before
    place.refused.clear()
    await place.session(recorded=True)


async def test_a_wrapper_that_does_not_keep_the_end_leaves_the_client_who_knows(
    place: Place,
) -> None:
    place.refused[Left] = Refused("freshness_unwritable", "the disk is full")
    _, kept = await place.session(recorded=True)
    assert place.store.last_seen(ALICE) == Record(Generation(1), None)
    place.refused.clear()
    after, _ = await place.session(recorded=True, kept=kept)
    assert after["freshness"] == "verified"


async def test_claims_with_a_wrong_key_change_nothing(place: Place) -> None:
    _, kept = await place.session(recorded=True)
    async with (
        place.server(recorded=True) as server,
        Client(place.certificates, server) as client,
    ):
        assert (await client.login(OTHER_KEY)).code == "wrong_key"
        server.close_stdin()
        await server.ends()
    after, _ = await place.session(recorded=True, kept=kept)
    assert after["freshness"] == "verified"


async def test_what_is_no_tag_is_refused_before_anything_is_claimed(place: Place) -> None:
    async with (
        place.server(recorded=False) as server,
        Client(place.certificates, server) as client,
    ):
        reply = await place.login(client, {"generation": 1, "tag": "AAEC"})
        assert (reply.status, reply.code) == (400, "malformed")
        assert server.said == ["WAITING_LOGIN"]


# the key


def open_when_hardened(volume: str) -> list[str]:
    """In the child: give up all rights but the volume, then open the database with a key in locked memory."""
    file = Path(volume) / database.FILE_NAME
    report = harden(Plan(places=Places(read_only=library_places(), read_write=(Path(volume),))))
    memory = cipher.KeyMemory(required=True)
    with contextlib.closing(database.Database.unlock(file, secret(), memory)) as opened:
        assert not opened.outdated()
    return [each.layer for each in report.layers if each not in report.missing]


def test_a_hardened_process_has_locked_memory_for_a_key(tmp_path: Path) -> None:
    assert "seccomp" in in_child(open_when_hardened, volume=str(new_volume(tmp_path, "alice")))


async def test_a_hardened_server_puts_the_key_into_locked_memory(place: Place) -> None:
    settings = {"hardening": "on", "volumes_dir": place.directory}
    async with (
        place.server(recorded=True, **settings) as server,
        Client(place.certificates, server) as client,
    ):
        assert (await place.login(client)).status == 200
        assert (await client.logout()).body["ended"]
        assert await server.ends() == 0
        log = "\n".join(getattr(server, "log", []))
    assert "session_ended" in log
    assert "key_memory_not_locked" not in log
