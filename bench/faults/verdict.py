"""Compares what was acknowledged with what is stored, and finds every wrong. Pure.

acknowledged  answered 200
lost          acknowledged, and not in the database; also the missing rest of what is there in part, acknowledged or
              not, since a batch or WRITE is all or nothing
duplicated    more copies than one of a row, or of an alarm
foreign       in the database of a user who never sent it
two users     one boot id with two users, by the clients' answers or by the wrappers' logs
two writers   two processes seen with one database (`watch`); one generation given to two processes; rows of an older
              generation stored after rows of a newer one
stuck         a user who waited longer than CLIENT_RETRY for a LOGIN, or could not log in once all parts ran again

The order of generations: each item has a set of generations under which it may have been stored (`sent.Item`). In
order of row ids, one must be choosable from each set so that they never decrease.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct

from bench.faults.history import History, Try, login_waits
from bench.faults.logs import Life
from bench.faults.sent import Item, Place, Sent, Table
from bench.faults.stored import Contents
from bench.faults.watch import TwoWriters
from standby.deadlines import CLIENT_RETRY


class Wrong(StrEnum):
    LOST_ROWS = "lost_rows"
    LOST_ALARMS = "lost_alarms"
    DUPLICATED_ROWS = "duplicated_rows"
    FOREIGN_ROWS = "foreign_rows"
    TWO_USERS = "processes_with_two_users"
    TWO_WRITERS = "concurrent_writers"
    STUCK = "stuck_users"
    UNREADABLE = "unreadable_databases"


class Finding(Struct, frozen=True, kw_only=True):
    """One wrong."""

    wrong: Wrong
    count: int
    """How many rows, alarms, processes or users it concerns."""
    text: str
    evidence: str
    """The file to look at."""


@dataclass(frozen=True, slots=True)
class UserEvidence:
    """Everything about one user."""

    uid: str
    user: int
    """The number in the user's rows."""
    histories: tuple[History, ...]
    contents: Contents | None
    """None: the database could not be read."""
    database: str
    """The file."""


def judge(
    users: Sequence[UserEvidence], lives: Mapping[str, Life], seen: Iterable[TwoWriters], watch: str
) -> list[Finding]:
    """Every wrong in the evidence; `seen` is what the watch has found, and `watch` its file.

    Raises:
        ValueError: two users have the same number, so that their rows cannot be told apart.
    """
    if len({each.user for each in users}) != len(users):
        raise ValueError("two users have the same number")
    found = [finding for each in users for finding in _of_user(each)]
    found += _two_users(users, lives)
    for two in seen:
        pids = " and ".join(map(str, two.pids))
        text = f"{two.uid}: processes {pids} had the database open together"
        found.append(Finding(wrong=Wrong.TWO_WRITERS, count=1, text=text, evidence=watch))
    return found


def _of_user(of: UserEvidence) -> Iterator[Finding]:
    yield from _stuck(of)
    yield from _shared_generations(of)
    if of.contents is None:
        text = f"{of.uid}: the database cannot be read"
        yield Finding(wrong=Wrong.UNREADABLE, count=1, text=text, evidence=of.database)
        return
    sent = Sent(of.user, of.histories)
    readings = [sent.place_of_reading(each) for each in of.contents.readings]
    alarms = [sent.place_of_alarm(each) for each in of.contents.alarms]
    foreign = readings.count(None) + alarms.count(None)
    if foreign:
        text = f"{of.uid}: {foreign} rows that this user never sent"
        yield Finding(wrong=Wrong.FOREIGN_ROWS, count=foreign, text=text, evidence=of.database)
    known = [place for place in (*readings, *alarms) if place is not None]
    copies = Counter(known)
    for item in sent.items:
        yield from _of_item(
            of.uid, item, [copies[Place(item, index)] for index in range(item.rows)]
        )
    for table in (readings, alarms):
        yield from _order(of, [place.item for place in table if place is not None])


def _of_item(uid: str, item: Item, copies: Sequence[int]) -> Iterator[Finding]:
    missing, extra = copies.count(0), sum(count - 1 for count in copies if count > 1)
    name = f"{uid}, {item.table} from number {item.number}"
    if missing and (item.acknowledged or missing < item.rows):
        said = "acknowledged" if item.acknowledged else "stored in part"
        text = f"{name}: {said}, but {missing} of {item.rows} are missing"
        wrong = Wrong.LOST_ROWS if item.table is Table.READINGS else Wrong.LOST_ALARMS
        yield Finding(wrong=wrong, count=missing, text=text, evidence=item.file)
    if extra:
        text = f"{name}: {extra} copies too many"
        yield Finding(wrong=Wrong.DUPLICATED_ROWS, count=extra, text=text, evidence=item.file)


def _order(of: UserEvidence, items: Iterable[Item]) -> Iterator[Finding]:
    """Whether the generations can have been in order; `items` are those of successive rows."""
    newest = 0
    for item in dict.fromkeys(items):
        possible = [each for each in item.generations if each >= newest]
        if item.generations and not possible:
            text = (
                f"{of.uid}, {item.table} from number {item.number}: stored under generation "
                f"{max(item.generations)} after rows of generation {newest}"
            )
            yield Finding(wrong=Wrong.TWO_WRITERS, count=1, text=text, evidence=item.file)
        newest = min(possible, default=newest)


def _shared_generations(of: UserEvidence) -> Iterator[Finding]:
    processes: dict[int, set[str]] = {}
    for each in _sessions(of.histories):
        if each.generation is not None and each.boot_id is not None:
            processes.setdefault(each.generation, set()).add(each.boot_id)
    for generation, boot_ids in processes.items():
        if len(boot_ids) > 1:
            text = f"{of.uid}: generation {generation} was given to {', '.join(sorted(boot_ids))}"
            evidence = of.histories[0].file
            yield Finding(wrong=Wrong.TWO_WRITERS, count=1, text=text, evidence=evidence)


def _two_users(users: Iterable[UserEvidence], lives: Mapping[str, Life]) -> Iterator[Finding]:
    served: dict[str, set[str]] = {boot_id: set(life.users) for boot_id, life in lives.items()}
    for user in users:
        for each in _sessions(user.histories):
            if each.boot_id is not None:
                served.setdefault(each.boot_id, set()).add(user.uid)
    for boot_id, uids in served.items():
        if len(uids) > 1:
            text = f"process {boot_id} served {', '.join(sorted(uids))}"
            wrapper = lives[boot_id].wrapper if boot_id in lives else "?"
            evidence = f"the log of {wrapper}, and the histories of these users"
            yield Finding(wrong=Wrong.TWO_USERS, count=1, text=text, evidence=evidence)


def _stuck(of: UserEvidence) -> Iterator[Finding]:
    """At most one: a user is stuck or not."""
    for history in of.histories:
        for wait in login_waits(history):
            if wait.seconds > CLIENT_RETRY or (wait.final and not wait.succeeded):
                how = "logged in after" if wait.succeeded else "not logged in within"
                text = f"{of.uid}: {how} {wait.seconds:.1f} s (from {wait.began:.3f})"
                yield Finding(wrong=Wrong.STUCK, count=1, text=text, evidence=history.file)
                return


def _sessions(histories: Iterable[History]) -> Iterator[Try]:
    return (each for history in histories for each in history.tries if not each.failed)
