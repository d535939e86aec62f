"""The verdict passes what is right and finds every wrong, each in a real database or history that was tampered with."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2

from bench.faults import rows, stored
from bench.faults.history import Closing, History
from bench.faults.logs import Life
from bench.faults.sent import Sent
from bench.faults.verdict import Finding, UserEvidence, Wrong, judge
from bench.faults.watch import TwoWriters
from smartgrid_server import cipher, database
from smartgrid_server.database import Database
from smartgrid_server.messages import Alarm
from standby.deadlines import CLIENT_RETRY
from standby.secret import Secret
from tests.unit.bench.faults.records import (
    BOOT_IDS,
    LOGIN,
    LONG_WRITE,
    alarms,
    batch,
    logins,
    made,
    tried,
    unanswered,
)

KEY = Secret(bytes(range(32)))
_COPY = "INSERT INTO metrics (timestamp, power, impedance, tension) SELECT "


class Store:
    """A user's real database, filled as the server does it."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / database.FILE_NAME
        database.create(self.file, KEY)

    def batch(self, number: int, size: int, user: int = 1) -> None:
        sent = rows.batch(user, number, size)
        with contextlib.closing(Database.open(self.file, KEY)) as opened:
            opened.store(sent.rows)

    def alarms(self, *numbers: int, user: int = 1) -> None:
        mine = [rows.alarm(user, number) for number in numbers]
        with contextlib.closing(Database.open(self.file, KEY)) as opened:
            opened.write_alarms(
                [Alarm(metric=each.metric, threshold=each.threshold) for each in mine]
            )

    def tamper(self, statement: str) -> None:
        with contextlib.closing(cipher.connect(self.file, KEY)) as connection:
            connection.execute("DROP INDEX metrics_by_time")  # which refuses some of this
            connection.execute(statement)

    def judged(self, *histories: History, lives: dict[str, Life] | None = None) -> list[Finding]:
        contents = stored.read(self.file, KEY)
        user = UserEvidence("user-1", 1, histories, contents, str(self.file))
        return judge([user], lives or {}, [], "writers.jsonl")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def _found(findings: list[Finding]) -> dict[Wrong, int]:
    found: dict[Wrong, int] = {}
    for each in findings:
        found[each.wrong] = found.get(each.wrong, 0) + each.count
    return found


def _acknowledged(store: Store) -> tuple[History, History]:
    """Three batches of ten rows and two WRITEs, all stored and acknowledged."""
    for number in (1, 2, 3):
        store.batch(number, 10)
    store.alarms(1, 2)
    store.alarms(3)
    meter = made(*batch(1, 1, 10), *batch(2, 2, 10), *batch(3, 3, 10))
    customer = made(*alarms(1, (1, 2)), *alarms(2, (3,)), role="customer")
    return meter, customer


def test_what_was_acknowledged_and_is_stored_once_is_right(store: Store) -> None:
    assert not store.judged(*_acknowledged(store))


@pytest.mark.parametrize(
    ("statement", "wrong", "count"),
    [
        ("DELETE FROM metrics WHERE id = 15", Wrong.LOST_ROWS, 1),
        ("DELETE FROM metrics WHERE impedance = 2", Wrong.LOST_ROWS, 10),
        ("DELETE FROM alarms WHERE id = 2", Wrong.LOST_ALARMS, 1),
        (
            f"{_COPY} timestamp, power, impedance, tension FROM metrics WHERE impedance = 3",
            Wrong.DUPLICATED_ROWS,
            10,
        ),
        (
            "INSERT INTO alarms (metric, threshold) SELECT metric, threshold FROM alarms WHERE id = 3",
            Wrong.DUPLICATED_ROWS,
            1,
        ),
        (
            f"{_COPY} timestamp, 2, impedance, tension FROM metrics WHERE impedance = 3",
            Wrong.FOREIGN_ROWS,
            10,
        ),
        ("INSERT INTO alarms (metric, threshold) VALUES ('power', 2000001)", Wrong.FOREIGN_ROWS, 1),
    ],
)
def test_a_tampered_database_is_found(
    store: Store, statement: str, wrong: Wrong, count: int
) -> None:
    histories = _acknowledged(store)
    store.tamper(statement)
    assert _found(store.judged(*histories)) == {wrong: count}


def test_a_changed_value_is_a_foreign_row_and_a_lost_one(store: Store) -> None:
    histories = _acknowledged(store)
    store.tamper("UPDATE metrics SET tension = tension + 0.5 WHERE id = 7")
    assert _found(store.judged(*histories)) == {Wrong.FOREIGN_ROWS: 1, Wrong.LOST_ROWS: 1}


def test_another_users_rows_are_foreign(store: Store) -> None:
    store.batch(1, 5, user=2)
    store.alarms(1, user=2)
    assert _found(store.judged(made(), made(role="customer"))) == {Wrong.FOREIGN_ROWS: 6}


def test_an_unacknowledged_batch_may_be_there_or_not_but_whole(store: Store) -> None:
    store.batch(1, 10)
    meter = made(*batch(1, 1, 10, unanswered(1)), *batch(2, 2, 10, unanswered(2)))
    assert not store.judged(meter)
    store.tamper("DELETE FROM metrics WHERE id = 10")
    assert _found(store.judged(meter)) == {Wrong.LOST_ROWS: 1}


def test_a_batch_acknowledged_only_in_a_later_session_counts_as_acknowledged(store: Store) -> None:
    again = batch(2, 1, 10, tried(2, LONG_WRITE, generation=2))
    meter = made(*batch(1, 1, 10, unanswered(1)), *again)
    assert _found(store.judged(meter)) == {Wrong.LOST_ROWS: 10}


def test_an_unreadable_database_is_a_wrong() -> None:
    user = UserEvidence("user-1", 1, (made(),), None, "file")
    assert _found(judge([user], {}, [], "")) == {Wrong.UNREADABLE: 1}


def test_users_whose_rows_cannot_be_told_apart_are_refused() -> None:
    users = [UserEvidence(uid, 1, (made(uid=uid),), None, "") for uid in ("user-1", "user-2")]
    with pytest.raises(ValueError, match="same number"):
        judge(users, {}, [], "")


def test_one_process_with_two_users_is_found_in_answers(store: Store) -> None:
    boot_id = BOOT_IDS[1]
    first = made(*logins(1, tried(1, LOGIN)))
    second = made(*logins(1, tried(1, LOGIN, boot_id=boot_id)), uid="user-2", user=2)
    contents = stored.read(store.file, KEY)
    users = [
        UserEvidence("user-1", 1, (first,), contents, ""),
        UserEvidence("user-2", 2, (second,), contents, ""),
    ]
    assert _found(judge(users, {}, [], "")) == {Wrong.TWO_USERS: 1}


def test_one_process_with_two_users_is_found_in_the_wrappers_logs(store: Store) -> None:
    lives = {BOOT_IDS[1]: Life("w1", {"user-1"}), BOOT_IDS[2]: Life("w1", {"user-1", "user-2"})}
    assert _found(store.judged(made(), lives=lives)) == {Wrong.TWO_USERS: 1}


def test_two_processes_seen_with_one_database_are_found() -> None:
    seen = TwoWriters(uid="user-1", at=1.0, pids=(7, 8), boot_ids=(BOOT_IDS[1], BOOT_IDS[2]))
    (finding,) = judge([], {}, [seen], "writers.jsonl")
    assert finding.wrong is Wrong.TWO_WRITERS
    assert finding.evidence == "writers.jsonl"


def test_one_generation_given_to_two_processes_is_found(store: Store) -> None:
    meter = made(*logins(1, tried(1, LOGIN)), *logins(2, tried(2, LOGIN, boot_id=BOOT_IDS[5])))
    assert _found(store.judged(meter)) == {Wrong.TWO_WRITERS: 1}


def test_rows_of_an_older_generation_after_those_of_a_newer_one_are_found(store: Store) -> None:
    for number in (1, 2, 3):
        store.batch(number, 4)

    def meter(*generations: int) -> History:
        return made(
            *(
                record
                for number, generation in enumerate(generations, 1)
                for record in batch(
                    number, number, 4, tried(number, LONG_WRITE, generation=generation)
                )
            )
        )

    assert not store.judged(meter(1, 1, 2))
    assert _found(store.judged(meter(1, 3, 2))) == {Wrong.TWO_WRITERS: 1}


def test_a_duplicate_is_laid_to_the_unanswered_try_that_stored_it(store: Store) -> None:
    """Batch 1 was stored under generation 1, acknowledged under 3 as a duplicate; batch 2 was stored under 2."""
    store.batch(1, 4)
    store.batch(2, 4)
    late = tried(3, LONG_WRITE, generation=3, duplicate=True)
    first = [*batch(1, 1, 4, unanswered(1)), *batch(3, 1, 4, late)]
    second = batch(2, 2, 4, tried(2, LONG_WRITE, generation=2))
    assert not store.judged(made(*first, *second))


def test_a_duplicate_that_only_a_newer_generation_can_have_stored_is_found(store: Store) -> None:
    store.batch(1, 4)
    store.batch(2, 4)
    late = tried(3, LONG_WRITE, generation=3, duplicate=True)
    first = [*batch(1, 1, 4, unanswered(1, generation=3)), *batch(3, 1, 4, late)]
    second = batch(2, 2, 4, tried(2, LONG_WRITE, generation=2))
    assert _found(store.judged(made(*first, *second))) == {Wrong.TWO_WRITERS: 1}


def _late(succeeded: bool) -> History:
    refused = tried(1, LOGIN, 0.0, 1.0, code="claimed_elsewhere", generation=None)
    last = tried(
        1, LOGIN, CLIENT_RETRY, CLIENT_RETRY + 0.5, code=None if succeeded else "platform_busy"
    )
    return made(*logins(1, refused, last))


def _never_again() -> History:
    refused = tried(2, LOGIN, 11.0, 12.0, code="claimed_elsewhere", generation=None)
    return made(*logins(1, tried(1, LOGIN)), Closing(at=10.0), *logins(2, refused))


@pytest.mark.parametrize("history", [lambda: _late(True), lambda: _late(False), _never_again])
def test_a_stuck_user_is_found_once(store: Store, history: Callable[[], History]) -> None:
    assert _found(store.judged(history(), made(role="customer"))) == {Wrong.STUCK: 1}


def test_a_login_that_was_given_up_because_the_run_ended_is_not_stuck(store: Store) -> None:
    refused = tried(1, LOGIN, 5.0, 6.0, code="platform_busy", generation=None)
    history = made(
        *logins(1, refused),
        Closing(at=CLIENT_RETRY * 2),
        *logins(2, tried(2, LOGIN, CLIENT_RETRY * 2)),
    )
    assert not store.judged(history)


def test_a_wrong_key_does_not_read_the_database(store: Store) -> None:
    with pytest.raises(Exception, match="key") as raised:
        stored.read(store.file, Secret(bytes(32)))
    assert not isinstance(raised.value, dbapi2.Error)


def test_rows_name_their_user_batch_and_place() -> None:
    history = made(*batch(1, 5, 3))
    sent = Sent(1, [history])
    (item,) = sent.items
    for index, row in enumerate(rows.batch(1, 5, 3).rows):
        place = sent.place_of_reading(row)
        assert place is not None
        assert (place.item, place.index) == (item, index)
    assert sent.place_of_reading(rows.reading(1, 5, 3)) is None
    assert sent.place_of_reading(rows.reading(2, 5, 0)) is None
