"""What the parts' logs say: which wrapper ran each server process and for which users, and what went wrong inside.

Lines that are no log records are passed over: a killed part may leave half a line, and HAProxy writes its own.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from msgspec import Struct

Lines = Mapping[str, Iterable[bytes]]
"""The lines of each part's log, by the part's name."""


class _Line(Struct):
    """The fields that matter here; a log line has more."""

    event: str
    level: str = ""
    boot_id: str | None = None
    uid: str | None = None
    said: dict[str, str | int | float | bool | None] | None = None
    """A server's own record, in its wrapper's."""


@dataclass(slots=True)
class Life:
    """One server process."""

    wrapper: str
    users: set[str] = field(default_factory=set)


def lives(lines: Lines) -> dict[str, Life]:
    """Every server process by its boot id."""
    found: dict[str, Life] = {}
    for part, record in _records(lines):
        if record.event == "server_changed" and record.boot_id is not None:
            life = found.setdefault(record.boot_id, Life(part))
            life.users |= {record.uid} if record.uid else set()
    return found


def errors(lines: Lines) -> dict[str, int]:
    """How often each event was logged as an error, by `part event`; what servers log, under their wrapper.

    A session that ended with its server is one (`server_changed`); each of the others is worth a look.
    """
    found = Counter(
        f"{part} {record.event}" for part, record in _records(lines) if record.level == "ERROR"
    )
    return dict(found.most_common())


def read(directory: Path) -> dict[str, list[bytes]]:
    """From a state directory's `logs`; rotated ones (`w1.log.2`, `w1.log.1`) come first, the older the earlier."""
    found: dict[str, list[bytes]] = {}
    for file in sorted(directory.glob("*.log*"), key=_age, reverse=True):
        part = file.name.partition(".log")[0]
        found.setdefault(part, []).extend(file.read_bytes().splitlines())
    return dict(sorted(found.items()))


def _age(file: Path) -> int:
    number = file.suffix.removeprefix(".")
    return int(number) if number.isdecimal() else 0


def _records(lines: Lines) -> Iterator[tuple[str, _Line]]:
    for part, each in lines.items():
        for line in each:
            record = _decoded(line)
            if record is None:
                continue
            yield part, record
            if record.said is not None and "event" in record.said:
                said = record.said
                yield part, _Line(event=str(said["event"]), level=str(said.get("level", "")))


def _decoded(line: bytes) -> _Line | None:
    try:
        return msgspec.json.decode(line, type=_Line)
    except msgspec.MsgspecError:
        return None
