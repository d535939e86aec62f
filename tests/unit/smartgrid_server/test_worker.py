"""The database's thread does things in the order in which they were given."""

from pathlib import Path

import pytest

from smartgrid_server import database
from smartgrid_server.errors import SessionOverError, WrongKeyError
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
    await opening
    assert await writing == 1
    await closing
    with pytest.raises(SessionOverError):
        await late
    await worker.close()
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
