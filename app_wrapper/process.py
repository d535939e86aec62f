"""One server process, and the place in the pool that successive processes occupy, as the pool sees them.

A process is a value: each change makes a new one. Its state is the platform's (`standby.states`); `ending` and
`holding` say how far its end has come and what became of its user's volume, because a slot is free again only when the
process is gone *and* nothing is claimed in its name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self

from standby.hardening import Layer, Outcome
from standby.ids import BootId, Generation, Slot, Uid
from standby.lines import Denied, Volume
from standby.states import State, StopReason


class Ending(StrEnum):
    RUNNING = "running"
    ASKED = "asked"
    """Its stdin is closed; it has until its deadline."""
    KILLED = "killed"
    GONE = "gone"
    """Exited and reaped."""


class Holding(StrEnum):
    NOTHING = "nothing"
    CLAIMING = "claiming"
    """The provider has been asked and has not answered."""
    HELD = "held"
    RELEASING = "releasing"


class Data(StrEnum):
    """What a server has said of its user's data; servers that are not asked to tell never say any of it."""

    UNTOUCHED = "untouched"
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Standby:
    """For whoever logs in; replaced by a fresh process afterwards."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """Started for one waiting user (approach `on-demand`); not replaced."""

    ticket: str


@dataclass(frozen=True, slots=True)
class Dedicated:
    """One user's own server (approach `trivial`); started again whenever it ends."""

    uid: Uid


Purpose = Standby | Ordered | Dedicated


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    slot: Slot
    boot_id: BootId
    purpose: Purpose
    launched_at: float
    state: State = State.STARTING
    since: float
    """When it entered its state."""
    port: int | None = None
    """None until the process exists; it is not reported before."""
    up_at: float | None = None
    """When it became READY, or ACTIVE if it never was READY."""
    bound: Uid | None = None
    """Whose requests it reads, by its own word, before there is a LOGIN; never another user's."""
    proved: bool = False
    """The user to whom it is bound has proved to log in here."""
    uid: Uid | None = None
    volume: Volume | None = None
    """What its server was given, once the claim was granted."""
    reason: StopReason | None = None
    ending: Ending = Ending.RUNNING
    holding: Holding = Holding.NOTHING
    data: Data = Data.UNTOUCHED
    attestation: str | None = None
    """By what it was admitted, in words; None: not yet."""
    hardening: Mapping[Layer, Outcome] = field(default_factory=dict)
    """What it says that it gave up."""
    follows: float | None = None
    """When the session before it in this slot ended; what recycling time is measured from."""

    @property
    def generation(self) -> Generation | None:
        return self.volume.generation if self.volume else None

    @property
    def over(self) -> bool:
        """Nothing of it is left, so its slot is free."""
        return self.ending is Ending.GONE and self.holding is Holding.NOTHING

    def gone(self) -> Self:
        """Of it all that can be left is its user's volume."""
        reason = self.reason or StopReason.CRASHED
        return replace(self, state=State.STOPPED, reason=reason, ending=Ending.GONE)

    def with_answer(self, answer: Volume | Denied) -> Self:
        """The provider has answered."""
        if isinstance(answer, Volume):
            return replace(self, holding=Holding.HELD, volume=answer)
        return replace(self, holding=Holding.NOTHING)

    @property
    def up(self) -> bool:
        return self.state in {State.READY, State.ACTIVE}


@dataclass(slots=True)
class Seat:
    """A slot: its purpose, its present or last process, and its record of failures."""

    slot: Slot
    purpose: Purpose
    process: Process | None = None
    failures: int = 0
    """Starts in a row that came to nothing."""
    failure: str = ""
    """The last of them, in words."""
    lasting: bool = False
    """It would happen again at once."""
    freed_at: float | None = None

    @property
    def vacant(self) -> bool:
        return self.process is None or self.process.over

    @property
    def leaving(self) -> bool:
        """Its session is over and nothing will follow in this slot, though something of the process may be left."""
        over = self.process is not None and self.process.state is State.STOPPED
        return over and isinstance(self.purpose, Ordered)

    @property
    def failing(self) -> bool:
        return self.failures > 0 and not (self.process is not None and self.process.up)
