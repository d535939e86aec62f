"""What a server says: lines that it prints, by the patterns of its `app.toml`, and what it says over its channel."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from app_wrapper.application import Events
from standby.hardening import Layer, Outcome
from standby.ids import InvalidIdError, Uid, parse_uid
from standby.states import StopReason

SAYABLE = frozenset(
    {
        StopReason.LOGOUT,
        StopReason.EXPIRED,
        StopReason.IDLE,
        StopReason.REFUSED,
        StopReason.DRAINED,
        StopReason.UNATTESTED,
        StopReason.DATA_DAMAGED,
        StopReason.OLDER_DATA,
        StopReason.STORAGE_FAILED,
        StopReason.NO_LOGIN,
    }
)
"""Why a server may say that it stops; the other reasons are its wrapper's to give."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """It accepts a user."""


@dataclass(frozen=True, slots=True)
class Login:
    uid: Uid


@dataclass(frozen=True, slots=True)
class Logout:
    reason: StopReason = StopReason.LOGOUT


@dataclass(frozen=True, slots=True)
class Nonsense:
    """An event that breaks the line protocol in itself, such as LOGIN of a name that cannot be a user's."""

    text: str


@dataclass(frozen=True, slots=True)
class Attested:
    """It has proved what it is, over its channel; not a line of its output."""

    by: str
    """What admitted it, in words."""
    hardening: Mapping[Layer, Outcome]


@dataclass(frozen=True, slots=True)
class NotAttested:
    """It was refused: it showed no evidence, or evidence that the policy does not admit."""

    code: str
    """Stable: what the policy did not admit, or what kept it from being asked."""
    why: str
    lasting: bool
    """The next one would be refused as well."""


@dataclass(frozen=True, slots=True)
class DataOpened:
    """It has opened its user's data and may change it from now on; said over its channel."""


@dataclass(frozen=True, slots=True)
class DataClosed:
    """It has closed its user's data in good order; said over its channel."""


@dataclass(frozen=True, slots=True)
class Bound:
    """It reads this user's requests from now on; said over its channel, before it reads one."""

    uid: Uid


@dataclass(frozen=True, slots=True)
class Proved:
    """The user has proved, over the server's channel, that they log in at this process."""

    uid: Uid


@dataclass(frozen=True, slots=True)
class NotProved:
    """It passed a user's proof on that does not hold. The proof may be the user's fault, so nothing follows from it."""

    uid: Uid | None
    """To whom it is bound."""
    code: str
    why: str


SaidOverChannel = Attested | NotAttested | Bound | Proved | NotProved | DataOpened | DataClosed
Said = Waiting | Login | Logout | Nonsense | SaidOverChannel


class EventReader:
    """Turns lines into events; a line is one only as a whole."""

    def __init__(self, events: Events) -> None:
        self._waiting = re.compile(events.waiting)
        self._login = re.compile(events.login)
        self._logout = re.compile(events.logout)

    def read(self, line: str) -> Said | None:
        """The event that `line` is, or None if it is log."""
        if self._waiting.fullmatch(line):
            return Waiting()
        if match := self._login.fullmatch(line):
            return _login(match["uid"] or "")
        if match := self._logout.fullmatch(line):
            return Logout(_reason(match.groupdict().get("reason")))
        return None


def _login(text: str) -> Login | Nonsense:
    try:
        return Login(parse_uid(text))
    except InvalidIdError as error:
        return Nonsense(f"LOGIN: {error}")


def _reason(text: str | None) -> StopReason:
    try:
        reason = StopReason((text or "").lower())
    except ValueError:
        return StopReason.LOGOUT
    return reason if reason in SAYABLE else StopReason.LOGOUT
