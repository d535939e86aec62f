"""The life of a server process: its states, what moves it between them, and why it ended.

This file owns all of that truth. `TRANSITIONS` is the table; the diagram in `docs/reference/states.md` is generated
from it, and an event that the table does not know is one error that names state and event.

A process serves at most one user in its life, so no arrow leads from ACTIVE back to READY, and RESERVED is known only
to the Routing Manager (the process itself cannot tell a promise from an idle moment).
"""

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """What a process is now, and what others may do about it."""

    STARTING = "STARTING"
    """Launched, silent so far. Others wait; its wrapper kills it when the start deadline passes."""
    READY = "READY"
    """It printed WAITING_LOGIN and holds no user's state. The Routing Manager may promise it to a user."""
    RESERVED = "RESERVED"
    """Promised to a user who has connected but not logged in. Others must not be sent here until a short deadline."""
    ACTIVE = "ACTIVE"
    """It belongs to one user until it exits. Only that user may be sent here."""
    STOPPED = "STOPPED"
    """Over. Its volume is given back once the process is gone; a fresh process takes the slot."""


class Event(StrEnum):
    """What can happen to a process."""

    WAITING_LOGIN = "WAITING_LOGIN"
    """The server says that it accepts a user."""
    RESERVED = "reserved"
    """The Routing Manager has promised it to a user."""
    UNRESERVED = "unreserved"
    """The promise ran out without a LOGIN."""
    LOGIN = "LOGIN"
    """The server says whose it is now."""
    LOGOUT = "LOGOUT"
    """The server says that the session is over."""
    GONE = "gone"
    """The process exited, was killed, or its wrapper was lost."""


class StopReason(StrEnum):
    """Why a process ended."""

    LOGOUT = "logout"
    """The last of the user's clients logged out."""
    EXPIRED = "expired"
    """The session's length was used up."""
    IDLE = "idle"
    """No request for the idle limit."""
    REFUSED = "refused"
    """LOGIN could not be completed: volume denied, or wrong key too often."""
    CRASHED = "crashed"
    """The process ended without saying LOGOUT."""
    START_TIMEOUT = "start_timeout"
    """It did not become READY in time and was killed."""
    UNATTESTED = "unattested"
    """It could not prove, or not prove again, that it is what the policy admits; it had no user."""
    NO_LOGIN = "no_login"
    """A user came and did not log in; a process that has read one user's requests is of no use to others."""
    UNPROVED = "unproved"
    """It said LOGIN of a user who had not proved to be there, and was killed: it was taken over, or is faulty."""
    DRAINED = "drained"
    """The wrapper is leaving."""
    SESSION_LIMIT = "session_limit"
    """It served one user for longer than any session may last, and its wrapper ended it."""
    NOT_OPENED = "not_opened"
    """It was given a user's volume, did not open it in time, and its wrapper ended it."""
    USAGE_LIMIT = "usage_limit"
    """It put more into its user's volume, or its own directory, than it may, and its wrapper killed it."""
    UNRESPONSIVE = "unresponsive"
    """It hung and was killed."""
    RESIZED = "resized"
    """The pool was made smaller; it had no user."""
    DATA_DAMAGED = "data_damaged"
    """The user's data cannot be read, or is gone."""
    OLDER_DATA = "older_data"
    """The user's data is older than it was when it was closed last."""
    STORAGE_FAILED = "storage_failed"
    """The user's volume is full, or cannot be read or written."""
    KILLED = "killed"
    """It broke a rule of the line protocol, and its wrapper ended it."""
    LOST = "lost"
    """Its wrapper fell silent; seen only by the Routing Manager."""


USUAL_ENDS: Final = frozenset(
    {
        StopReason.LOGOUT,
        StopReason.EXPIRED,
        StopReason.IDLE,
        StopReason.REFUSED,
        StopReason.DRAINED,
        StopReason.RESIZED,
        StopReason.NO_LOGIN,
    }
)
"""Ends that are nobody's fault, or a user's own; the others are worth an operator's look."""

TRANSITIONS: Final[dict[tuple[State, Event], State]] = {
    (State.STARTING, Event.WAITING_LOGIN): State.READY,
    # A server dedicated to one user (approach `trivial`) says LOGIN at once and never waits for anybody.
    (State.STARTING, Event.LOGIN): State.ACTIVE,
    (State.STARTING, Event.LOGOUT): State.STOPPED,
    (State.STARTING, Event.GONE): State.STOPPED,
    (State.READY, Event.RESERVED): State.RESERVED,
    (State.READY, Event.LOGIN): State.ACTIVE,
    (State.READY, Event.LOGOUT): State.STOPPED,
    (State.READY, Event.GONE): State.STOPPED,
    (State.RESERVED, Event.UNRESERVED): State.READY,
    (State.RESERVED, Event.LOGIN): State.ACTIVE,
    (State.RESERVED, Event.LOGOUT): State.STOPPED,
    (State.RESERVED, Event.GONE): State.STOPPED,
    (State.ACTIVE, Event.LOGOUT): State.STOPPED,
    (State.ACTIVE, Event.GONE): State.STOPPED,
}


class IllegalTransitionError(Exception):
    """An event arrived in a state in which it has no meaning."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"a {state} server process cannot take the event {event}")
        self.state = state
        self.event = event


def after(state: State, event: Event) -> State:
    """The state that `event` leads to from `state`.

    Raises:
        IllegalTransitionError: the table has no such arrow.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransitionError(state, event) from None
