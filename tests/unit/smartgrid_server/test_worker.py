"""The database's thread does things in the order in which they were given."""

import errno
from pathlib import Path

import pytest

from smartgrid_server import cipher, database
from smartgrid_server.errors import (
    DatabaseDamagedError,
    DatabaseMissingError,
    KeyMemoryError,
    SessionOverError,
    WrongKeyError,
)
from smartgrid_server.freshness import tag_of
from smartgrid_server.messages import Alarm
from smartgrid_server.worker import Worker
from tests.support.smartgrid import OTHER_KEY, files_of, new_volume, secret, stored

ALARM = [Alarm(metric="power", threshold=1.0)]


async def test_what_was_given_before_the_end_is_done_and_what_comes_later_finds_nothing(
    tmp_path: Path,
) -> None:
    volume = new_volume(tmp_path, "alice")
    worker = Worker()
    opening = worker.open(volume / database.FILE_NAME, secret())
    writing = worker.submit(lambda db: db.write_alarms(ALARM))
    closing = worker.close()
    late = worker.submit(lambda db: db.write_alarms(ALARM))
    assert not await opening  # it needs nothing before it is used
    assert await writing == 1
    assert await closing == tag_of(volume / database.FILE_NAME)
    with pytest.raises(SessionOverError):
        await late
    assert await worker.close() is None
    worker.stop()
    assert len(stored(volume, "alarms")) == 1
    assert files_of(volume) == [database.FILE_NAME]


async def test_a_failed_open_leaves_nothing_open(tmp_path: Path) -> None:
    volume = new_volume(tmp_path, "alice")
    worker = Worker()
    with pytest.raises(WrongKeyError):
        await worker.open(volume / database.FILE_NAME, secret(OTHER_KEY))
    with pytest.raises(SessionOverError):
        await worker.submit(lambda db: db.alarms(0, 1))
    await worker.open(volume / database.FILE_NAME, secret())
    await worker.close()
    worker.stop()


async def test_looking_gives_the_tag_and_says_what_is_wrong_with_the_file(tmp_path: Path) -> None:
    file = new_volume(tmp_path, "alice") / database.FILE_NAME
    worker = Worker()
    assert await worker.look(file) == tag_of(file)
    file.with_name(file.name + "-wal").write_bytes(b"left over")
    assert await worker.look(file) is None
    with pytest.raises(DatabaseMissingError):
        await worker.look(tmp_path / "none.db")
    file.write_bytes(b"cut off")
    with pytest.raises(DatabaseDamagedError):
        await worker.look(file)
    worker.stop()


async def test_without_locked_memory_nothing_is_opened_where_it_is_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOMEM, "no memory to lock")

    monkeypatch.setattr(cipher, "LockedKey", none)
    file = new_volume(tmp_path, "alice") / database.FILE_NAME
    required, other = Worker(locked_required=True), Worker()
    with pytest.raises(KeyMemoryError, match="no memory to lock") as caught:
        await required.open(file, secret())
    assert (caught.value.status, caught.value.retry) == (503, True)
    assert await required.close() is None
    await other.open(file, secret())
    assert await other.close() == tag_of(file)
    required.stop()
    other.stop()
