"""What a tag is of, and what is concluded from it. The rules as a whole: tests/property/smartgrid_server."""

import asyncio
import contextlib
import hashlib
import os
from pathlib import Path

import pytest

from attestation.issuing.messages import Record
from smartgrid_server import database
from smartgrid_server.database import Database
from smartgrid_server.errors import FreshnessUnavailableError, OlderDataError
from smartgrid_server.freshness import Guard, NoLink, found_in, judge, tag_of
from smartgrid_server.messages import Alarm, DataTag, Freshness
from standby.errors import UnavailableError
from standby.ids import Generation, Uid
from tests.support.smartgrid import secret

OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32
PAGE = 4096


def record(generation: int, tag: bytes | None) -> Record:
    return Record(Generation(generation), tag)


def kept(generation: int, tag: bytes) -> DataTag:
    return DataTag(generation=Generation(generation), tag=tag)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    database.create(tmp_path / "d.db", secret())
    return tmp_path / "d.db"


# the tag


def test_a_tag_is_over_the_number_of_pages_and_the_end_of_each(tmp_path: Path) -> None:
    file = tmp_path / "some"
    content = os.urandom(3 * PAGE)
    file.write_bytes(content)
    ends = b"".join(content[end - 64 : end] for end in (PAGE, 2 * PAGE, 3 * PAGE))
    expected = hashlib.sha256(b"standby freshness 1\n" + bytes(7) + b"\x03" + ends)
    assert tag_of(file) == expected.digest()


def test_an_empty_file_has_a_tag_of_its_own_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert (
        tag_of(tmp_path / "empty") == hashlib.sha256(b"standby freshness 1\n" + bytes(8)).digest()
    )
    with pytest.raises(FileNotFoundError):
        tag_of(tmp_path / "missing")


def test_every_change_changes_the_tag_even_one_that_is_taken_back(file: Path) -> None:
    tags = {tag_of(file)}
    for statement in (
        "UPDATE sqlite_sequence SET seq = seq",
        "INSERT INTO alarms (metric, threshold) VALUES ('power', 1)",
        "DELETE FROM alarms",
    ):
        db = Database.open(file, secret())
        db._connection.execute(statement)
        db.close()
        tags.add(tag_of(file))
    assert len(tags) >= 3


def test_a_session_that_writes_nothing_leaves_the_tag_as_it_was(file: Path) -> None:
    before = found_in(file)
    with contextlib.closing(Database.open(file, secret())) as db:
        db.alarms(0, 1)
    assert found_in(file) == before


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_a_journal_that_was_left_over_says_that_the_file_is_not_all(
    file: Path, suffix: str
) -> None:
    journal = file.with_name(file.name + suffix)
    journal.touch()
    assert found_in(file) == tag_of(file)
    journal.write_bytes(b"something")
    assert found_in(file) is None


def test_what_is_in_the_journal_of_a_killed_server_is_found(file: Path, tmp_path: Path) -> None:
    db = Database.open(file, secret())
    db.write_alarms([Alarm(metric="power", threshold=1.0)])
    killed = tmp_path / "killed.db"
    for suffix in ("", "-wal"):
        killed.with_name(killed.name + suffix).write_bytes(
            file.with_name(file.name + suffix).read_bytes()
        )
    db.close()
    assert found_in(killed) is None
    assert found_in(file) is not None


# the judgement


@pytest.mark.parametrize(
    ("found", "recorded", "shown"),
    [
        (NEW, record(5, NEW), None),
        (NEW, record(5, NEW), kept(5, NEW)),
        (NEW, record(5, NEW), kept(3, OLD)),
        (NEW, None, kept(6, NEW)),
        (NEW, None, kept(4, NEW)),  # claims since changed nothing
        (NEW, record(5, None), kept(5, NEW)),  # closed, and the record was not reached
        (NEW, record(4, OLD), kept(5, NEW)),  # the client knows more than the record
    ],
)
def test_data_is_verified(found: bytes, recorded: Record | None, shown: DataTag | None) -> None:
    judgement = judge(found, recorded, shown, Generation(7), False)
    assert judgement.freshness is Freshness.VERIFIED
    assert judgement.text


@pytest.mark.parametrize(
    ("found", "recorded", "shown", "why"),
    [
        (NEW, None, None, "first session"),
        (NEW, record(5, None), None, "not closed properly"),
        (None, record(5, None), kept(3, OLD), "not closed properly"),
        (NEW, record(5, None), kept(4, NEW), "not closed properly"),  # and changes of 5 may be lost
        (NEW, None, kept(5, OLD), "others have claimed"),
        (None, None, kept(5, OLD), "others have claimed"),
        (NEW, record(3, OLD), kept(5, OTHER), "others have claimed"),
    ],
)
def test_nothing_is_known_of_data(
    found: bytes | None, recorded: Record | None, shown: DataTag | None, why: str
) -> None:
    judgement = judge(found, recorded, shown, Generation(7), False)
    assert judgement.freshness is Freshness.UNKNOWN
    assert why in judgement.text


@pytest.mark.parametrize(
    ("found", "recorded", "shown"),
    [
        (OLD, record(5, NEW), None),
        (OLD, record(3, NEW), kept(2, OLD)),
        (None, record(5, NEW), None),
        (OLD, None, kept(6, NEW)),
        (None, None, kept(6, NEW)),
        (OLD, record(5, None), kept(5, NEW)),
        (OLD, record(5, OLD), kept(5, NEW)),  # the record was put back, too
        (NEW, record(5, OLD), kept(5, NEW)),
        (OLD, record(4, OLD), kept(5, NEW)),
        (OTHER, record(5, OLD), kept(6, NEW)),
        (NEW, record(7, NEW), None),  # its generation was put back
        (NEW, record(8, NEW), None),
        (NEW, record(7, None), None),
        (NEW, None, kept(7, NEW)),
        (NEW, record(5, NEW), kept(9, OTHER)),
    ],
)
def test_older_data_is_refused_unless_it_is_accepted(
    found: bytes | None, recorded: Record | None, shown: DataTag | None
) -> None:
    with pytest.raises(OlderDataError, match="--accept-older-data") as caught:
        judge(found, recorded, shown, Generation(7), False)
    assert (caught.value.code, caught.value.status) == ("older_data", 409)
    accepted = judge(found, recorded, shown, Generation(7), True)
    assert accepted.freshness is Freshness.UNKNOWN
    assert "accepted" in accepted.text


def test_a_process_may_find_a_record_of_its_own_claim_but_no_client_does() -> None:
    again = judge(NEW, record(7, NEW), kept(5, OLD), Generation(7), False, again=True)
    assert again.freshness is Freshness.VERIFIED
    for recorded, shown in ((record(8, NEW), None), (record(7, NEW), kept(7, NEW))):
        with pytest.raises(OlderDataError, match="put back to an earlier state"):
            judge(NEW, recorded, shown, Generation(7), False, again=True)


def test_accepting_older_data_changes_nothing_about_data_that_is_not() -> None:
    assert judge(NEW, record(5, NEW), None, Generation(7), True) == judge(
        NEW, record(5, NEW), None, Generation(7), False
    )


# the guard


class Mute:
    """A link to somebody who does not answer."""

    async def last_seen(self, uid: Uid) -> Record | None:
        raise UnavailableError(f"nobody knows of {uid}")

    async def opened(self, uid: Uid, generation: Generation) -> None:
        raise ConnectionResetError(f"{uid} was not opened in {generation}")

    async def left(self, uid: Uid, generation: Generation, tag: bytes) -> None:
        raise TimeoutError(f"{uid} did not leave {tag!r} in {generation}")


def done(tag: bytes | None) -> asyncio.Future[bytes | None]:
    future: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
    future.set_result(tag)
    return future


async def test_a_link_that_fails_is_one_clear_error_that_a_retry_may_help() -> None:
    guard = Guard(Mute())
    with pytest.raises(FreshnessUnavailableError, match="nobody knows of alice") as caught:
        await guard.look(Uid("alice"), Generation(7), done(NEW))
    assert (caught.value.status, caught.value.retry) == (503, True)


async def test_a_process_remembers_its_own_sessions_where_nobody_else_does() -> None:
    guard = Guard(NoLink())
    await guard.look(Uid("alice"), Generation(7), done(OLD))
    assert guard.judge(None, accept_older=False).freshness is Freshness.UNKNOWN
    await guard.opened()
    await guard.left(NEW)
    await guard.look(Uid("alice"), Generation(7), done(NEW))
    assert guard.judge(kept(6, OLD), accept_older=False).freshness is Freshness.VERIFIED
    await guard.look(Uid("alice"), Generation(7), done(OLD))
    with pytest.raises(OlderDataError):
        guard.judge(None, accept_older=False)


async def test_what_was_never_opened_is_not_said_to_be_left() -> None:
    guard = Guard(Mute())
    with pytest.raises(RuntimeError):
        guard.judge(None, accept_older=True)
    guard = Guard(NoLink())
    await guard.look(Uid("alice"), Generation(7), done(NEW))
    guard._link = Mute()
    await guard.left(NEW)
