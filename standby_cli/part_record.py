"""What a supervisor knows of its parts, for `standby status`: also while none of them answers.

The supervisor writes `parts.json` whenever a part starts or ends. Times are of the machine's monotonic clock, which all
its processes share until it is started again, and a supervisor does not outlive that.
"""

import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from standby import decode
from standby.decode import UnreadableError
from standby.exit_codes import EXIT_CONFIG, EXIT_DRAINED
from standby.ids import Count
from standby.messages import MOST_WRAPPERS, Seconds
from standby.processes import Pid
from standby.text import sentence

_MEANINGS: Final = {
    0: "it was sent a signal that asks it to end",
    EXIT_DRAINED: "it was ordered to leave",
    EXIT_CONFIG: "its settings cannot work",
}


class PartRecord(Struct, frozen=True, kw_only=True):
    """One part as its supervisor sees it."""

    name: Annotated[str, sentence(100)]
    pid: Pid | None = None
    """None while it does not run."""
    wanted: bool = True
    """False once it was asked to leave."""
    since: Seconds
    """When it was started, or when it ended: seconds of the machine's monotonic clock."""
    ends: Count = 0
    """How often it has ended since the platform was started."""
    last_exit: Annotated[str, sentence(200)] | None = None
    """How it ended last, in words."""

    @property
    def away(self) -> bool:
        """It should run and does not."""
        return self.wanted and self.pid is None

    def started(self, pid: int, now: float) -> "PartRecord":
        return msgspec.structs.replace(self, pid=pid, wanted=True, since=now)

    def ended(self, status: int, now: float) -> "PartRecord":
        return msgspec.structs.replace(
            self, pid=None, since=now, ends=self.ends + 1, last_exit=exit_words(status)
        )

    def left(self, now: float) -> "PartRecord":
        since = self.since if self.pid is None else now
        return msgspec.structs.replace(self, pid=None, wanted=False, since=since)


PartRecords = Annotated[list[PartRecord], Meta(max_length=MOST_WRAPPERS)]


def exit_words(status: int) -> str:
    """What an exit status of a part means; negative: a signal's number, as `subprocess` has it."""
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    meaning = _MEANINGS.get(status)
    return f"exit status {status}" + (f" ({meaning})" if meaning else "")


def write(path: Path, records: Iterable[PartRecord]) -> None:
    """Replace the file as a whole, so that a reader never sees half of it."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode([*records]), indent=2) + b"\n")
    fresh.replace(path)


def read(path: Path) -> list[PartRecord]:
    """What the supervisor has written; nothing if it has not yet."""
    try:
        records: list[PartRecord] = decode.json(path.read_bytes(), PartRecords)
    except (FileNotFoundError, UnreadableError):
        return []
    return records
