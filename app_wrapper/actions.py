"""What the pool wants done. Each action names the process it is for, and doing it twice is doing it once."""

from dataclasses import dataclass
from enum import StrEnum

from app_wrapper.process import Process, Purpose
from standby.ids import BootId, Generation, Slot, Uid
from standby.lines import Denied, Volume
from standby.states import State


@dataclass(frozen=True, slots=True)
class Launch:
    slot: Slot
    boot_id: BootId
    purpose: Purpose


@dataclass(frozen=True, slots=True)
class Claim:
    """Claim the user's volume for this process; the answer comes back as `Pool.answered`."""

    boot_id: BootId
    uid: Uid


@dataclass(frozen=True, slots=True)
class Answer:
    """Tell the server what became of its LOGIN."""

    boot_id: BootId
    answer: Volume | Denied


@dataclass(frozen=True, slots=True)
class AskToStop:
    """Close its stdin."""

    boot_id: BootId


@dataclass(frozen=True, slots=True)
class Kill:
    boot_id: BootId
    why: str = ""
    """In words, unless the report of its end says it."""


@dataclass(frozen=True, slots=True)
class Release:
    """Give the volume back; `Pool.released` follows, whatever came of it."""

    boot_id: BootId
    uid: Uid
    generation: Generation
    closed: bool = False
    """The server has closed the data, as far as is known."""


class Change(StrEnum):
    """What is new about a process."""

    STATE = "state"
    LAUNCHED = "launched"
    """It exists, and its port is known."""
    ATTESTED = "attested"
    VOLUME = "volume"
    """Its user's volume has been claimed for it."""


@dataclass(frozen=True, slots=True)
class Report:
    """The process has changed: tell the Routing Manager, the log and the metrics."""

    process: Process
    before: State
    """Its state until now; the same unless that is what changed."""
    change: Change = Change.STATE
    why: str = ""
    """Why it ended, in words."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Tell the operator: an error of the pool's own, which may cost this process (None: no single one) and no other."""

    boot_id: BootId | None
    error: Exception


Action = Launch | Claim | Answer | AskToStop | Kill | Release | Report | Failed
