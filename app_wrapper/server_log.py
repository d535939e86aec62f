"""A line of a server's own log, as it may stand in the wrapper's.

A server may write what it likes, so its line is data. A line that is a flat JSON object becomes fields under `said`,
each bounded; any other line is a text. Neither can change a field of the wrapper's own record.

The level is the server's up to WARNING. ERROR is the wrapper's word alone: a server that was taken over could otherwise
raise every alarm at will. What servers call errors is counted (`standby_app_wrapper_server_records_total`).
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from standby.logs import both_ends

MOST_FIELDS: Final = 24
LONGEST_NAME: Final = 40
TEXT_HEAD: Final = 100
TEXT_TAIL: Final = 400
"""Characters of a text that are kept, from its beginning and from its end."""
_NAME: Final = re.compile(rf"[A-Za-z_][A-Za-z0-9_.-]{{0,{LONGEST_NAME - 1}}}")
_MOST: Final = 2**53
"""Larger numbers are kept as text: not every reader of the log can hold them."""
Scalar = str | int | float | bool | None


class Rating(StrEnum):
    """How a server rates its own record."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    NONE = "NONE"
    """The line is no record, or has no level that is known."""


@dataclass(frozen=True, slots=True)
class Record:
    level: Rating
    fields: dict[str, object]
    """For the wrapper's record: `said` or `text`."""

    @property
    def alarming(self) -> bool:
        return self.level in {Rating.WARNING, Rating.ERROR}


def read(line: str) -> Record:
    """What a server logged."""
    said = _decoded(line) if line.startswith("{") else None
    if said is None:
        return Record(Rating.NONE, {"text": _short(line)})
    level = said.get("level")
    known = isinstance(level, str) and level in Rating.__members__
    return Record(Rating(str(level)) if known else Rating.NONE, {"said": said})


def _decoded(line: str) -> dict[str, Scalar] | None:
    """The fields of a flat JSON object with plain names; None for any other text."""
    try:
        found = msgspec.json.decode(line, type=dict[str, Scalar])
    except (msgspec.MsgspecError, UnicodeEncodeError, ValueError):
        return None
    if len(found) > MOST_FIELDS or not all(map(_NAME.fullmatch, found)):
        return None
    return {name: _bounded(value) for name, value in found.items()}


def _bounded(value: Scalar) -> Scalar:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value if -_MOST <= value <= _MOST else _short(str(value))
    return _short(value) if isinstance(value, str) else value


def _short(text: str) -> str:
    return both_ends(text, TEXT_HEAD, TEXT_TAIL)
