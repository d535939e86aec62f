"""What can come of a request, a promise or a wait, as enums: label values of metrics, and counts kept by the core.

The core counts with plain integers, which costs a route less than a metrics library would; `metrics` reads them when
somebody asks.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from standby.messages import ReportOutcome

KindT = TypeVar("KindT", bound=StrEnum)


class Assignment(StrEnum):
    """How a user came to a server."""

    SESSION = "session"
    """The user is logged in there."""
    RESERVATION = "reservation"
    """It was promised to this user already."""
    READY = "ready"
    """A free one, at once."""
    WAITED = "waited"
    """One that became free, or known, while the user waited."""
    SHARED = "shared"
    """One that is not reserved for this user: whoever logs in first has it."""


class Refusal(StrEnum):
    """Why a user got no server."""

    BAD_NAME = "bad_name"
    ROOM_FULL = "waiting_room_full"
    TIMED_OUT = "waited_too_long"
    NOT_SETTLED = "not_settled"
    STOPPING = "stopping"
    FAILED = "failed"
    """An error of the Routing Manager's own."""


class WaitEnd(StrEnum):
    """How a wait ended."""

    SERVED = "served"
    REFUSED = "refused"
    LEFT = "left"
    """The last connection of the user went away."""


class PromiseEnd(StrEnum):
    """How a reservation ended."""

    CONFIRMED = "confirmed"
    """By LOGIN of the promised user."""
    EXPIRED = "expired"
    """By its deadline."""
    TAKEN = "taken"
    """Another user logged in there first."""
    ELSEWHERE = "elsewhere"
    """The promised user logged in at another server."""
    GONE = "gone"
    """The server ended, or its wrapper is draining or lost."""


class Entry(StrEnum):
    """What an error was in, and cost."""

    RESERVATION = "reservation"
    USER = "user"
    """One who waits."""
    ORDER = "order"
    PROCESS = "process"
    """Also its entry in a report."""
    WRAPPER = "wrapper"
    """One that fell silent."""
    TIMER = "timer"
    """What is left to do at a deadline; it is tried again."""
    ACTION = "action"
    """Something that was decided could not be done."""
    FEED = "feed"
    """A state that followers do not get."""


def _zeros(kinds: type[KindT]) -> dict[KindT, int]:
    return dict.fromkeys(kinds, 0)


@dataclass(slots=True)
class Tally:
    """How often each outcome happened since the start."""

    assignments: dict[Assignment, int] = field(default_factory=lambda: _zeros(Assignment))
    refusals: dict[Refusal, int] = field(default_factory=lambda: _zeros(Refusal))
    waits: dict[WaitEnd, int] = field(default_factory=lambda: _zeros(WaitEnd))
    promises: dict[PromiseEnd, int] = field(default_factory=lambda: _zeros(PromiseEnd))
    reports: dict[ReportOutcome, int] = field(default_factory=lambda: _zeros(ReportOutcome))
    bad_reports: int = 0
    wrappers_lost: int = 0
    disbelieved: int = 0
    """Entries of reports that said what cannot be: a process that went back to an earlier state."""
    errors: dict[Entry, int] = field(default_factory=lambda: _zeros(Entry))
    orders: int = 0
    orders_failed: int = 0
