"""A server's own log, as far as it may stand in the wrapper's: so many lines of it, and each as data.

A server may write what it likes, so its line is data. A line that is a flat JSON object becomes fields under `said`,
each bounded; any other line is a text. Neither can change a field of the wrapper's own record.

The level is the server's up to WARNING. ERROR is the wrapper's word alone: a server that was taken over could otherwise
raise every alarm at will. What servers call errors is counted (`standby_app_wrapper_server_records_total`).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta

from app_wrapper.output import LogGate
from standby import decode
from standby.decode import UnreadableError
from standby.ids import LARGEST
from standby.lines import MAX_LINE
from standby.logs import EventLog, Level, both_ends

MOST_FIELDS: Final = 24
LONGEST_NAME: Final = 40
TEXT_HEAD: Final = 100
TEXT_TAIL: Final = 400
"""Characters of a text that are kept, from its beginning and from its end."""
_Name = Annotated[str, Meta(max_length=LONGEST_NAME, pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$(?!\n)")]
_Number = Annotated[int, Meta(ge=-LARGEST, le=LARGEST)]
_Share = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
Scalar = Annotated[str, Meta(max_length=MAX_LINE)] | _Number | _Share | bool | None
Said = Annotated[dict[_Name, Scalar], Meta(max_length=MOST_FIELDS)]
log = EventLog(__name__)


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


class ServerLog:
    """Writes one server's lines into the wrapper's log, within its allowance (`output`)."""

    def __init__(
        self, names: Callable[[], dict[str, object]], counted: Callable[[Rating], None]
    ) -> None:
        """`names`: fields that say which server it is; `counted` is called for each line that is logged."""
        self._names = names
        self._counted = counted
        self._gate = LogGate()

    def write(self, stream: str, line: str) -> None:
        """Log the line, unless there were too many."""
        if self._gate.admit(line, time.monotonic()):
            record = read(line)
            self._counted(record.level)
            level = Level.WARNING if record.alarming else Level.INFO
            log.at(level, "server_output", **self._names(), stream=stream, **record.fields)
        else:
            self._say_dropped(self._gate.due())

    def end(self) -> None:
        """The server has ended: say how many lines were not logged, if that was not said."""
        self._say_dropped(self._gate.rest())

    def _say_dropped(self, lines: int | None) -> None:
        if lines is not None:
            log.warning("server_output_dropped", **self._names(), lines=lines)


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
        found: dict[str, Scalar] = decode.json(line, Said)
    except UnreadableError:
        return None
    return {
        name: _short(value) if isinstance(value, str) else value for name, value in found.items()
    }


def _short(text: str) -> str:
    return both_ends(text, TEXT_HEAD, TEXT_TAIL)
