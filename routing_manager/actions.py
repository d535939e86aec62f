"""What the core asks the outside to do; each is a fact when it is said, so doing it cannot fail the core."""

from dataclasses import dataclass

from routing_manager.directory import Instance
from routing_manager.outcomes import Entry, Refusal
from standby.ids import Uid, WrapperId


@dataclass(frozen=True, slots=True)
class Answer:
    """Tell everybody who waits for this user: connect here."""

    uid: Uid
    instance: Instance
    waited: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Tell everybody who waits for this user: not now."""

    uid: Uid
    reason: Refusal
    waited: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class StartServer:
    """Order one server process; the same ticket may be ordered again."""

    wrapper_id: WrapperId
    control_url: str
    ticket: str


@dataclass(frozen=True, slots=True)
class WrapperLost:
    """Tell the operator: a wrapper fell silent, and what it ran."""

    wrapper_id: WrapperId
    silent: float
    """Seconds."""
    instances: int
    sessions: int
    """Users that were ACTIVE there."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Tell the operator: an error in one entry, which was dropped."""

    kind: Entry
    error: Exception


Action = Answer | Refuse | StartServer | WrapperLost | Failed
