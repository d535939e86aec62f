"""Whose process this is, and who may call: every decision about users, sessions and tokens, and nothing else.

Pure: no clock (each call gets `now`, in seconds of one monotonic clock), no I/O, no randomness, no `await`. The service
calls these methods, then does what they decided.

Invariants:
  - A process is bound to the first user who comes, for good, before it reads a byte of their requests; every other user
    is refused. If this user does not log in soon, it ends: nobody else may have a process that has read their requests.
  - The session belongs to the user. Each of his clients has a token of its own, with its own expiry and the role of the
    certificate it was given to; it is good for that role only.
  - A token is good only while the session is open; no token of an ended session is ever good again. It names the
    generation of the volume's claim it was made under, so that one of an earlier claim is told apart from a guess.
  - The session ends once: with the last token (logged out or expired), by idleness, by wrong keys, or from outside. A
    dedicated process (approach `trivial`) is bound from the start and may begin another session afterwards.
  - No token outlives the session's longest time, so clients who log in again and again do not keep it open for ever.

Not promised: that a database opens with the key (the database says so), and that time goes on between calls.

Tokens are kept as SHA-256 digests and looked up by them, so no comparison tells how much of a guess was right. Expired
tokens are remembered until newer ones push them out, only so that their holder is told what happened.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from smartgrid_server.errors import (
    ExpiredTokenError,
    ServerTakenError,
    SessionOverError,
    StaleTokenError,
    UnauthorizedError,
    UnknownTokenError,
)
from standby.identity import Role
from standby.ids import Generation, Uid
from standby.states import StopReason

_NEVER: Final = float("-inf")


class Phase(StrEnum):
    FREE = "free"
    """Nobody's. The first user who comes binds the process."""
    BOUND = "bound"
    """One user's, who has not logged in yet."""
    CLAIMING = "claiming"
    """The user logs in; their volume has been asked for, or is about to be."""
    LOCKED = "locked"
    """The volume is here, and no key has opened the database: wrong keys so far, or between two sessions."""
    OPEN = "open"
    """The database is open, and there is at least one token."""
    OVER = "over"
    """Ended; the process is about to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Durations in seconds."""

    length: float
    """Of one LOGIN."""
    most: float
    """Of the session, however many LOGINs it has."""
    idle: float
    login: float
    """From the moment at which the process is bound to LOGIN."""
    retry: float
    """After the first wrong key."""
    tries: int
    """Wrong keys after which the process gives up."""
    members: int
    """Tokens kept; the least recently used gives way."""


@dataclass(frozen=True, slots=True)
class Member:
    """One logged-in client of the user."""

    role: Role
    expires: float
    login_id: str | None = None
    """The client's name for the LOGIN."""


class Session:
    """See the module; `now` never goes back between calls."""

    def __init__(self, limits: Limits, *, dedicated: Uid | None = None) -> None:
        self.uid = dedicated
        self.phase = Phase.FREE if dedicated is None else Phase.CLAIMING
        self._dedicated = dedicated is not None
        self._limits = limits
        self._members: OrderedDict[bytes, Member] = OrderedDict()  # least recently used first
        self._active = 0.0
        self._until: float | None = None
        """When the open session ends at the latest."""
        self._login_until = 0.0
        self._tries = 0
        self._retry_until: float | None = None
        self._generation: Generation | None = None
        """Of the claim of the user's volume, once it is there."""

    @property
    def dedicated(self) -> bool:
        """Whether the process may have several sessions, all under one claim."""
        return self._dedicated

    @property
    def before_login(self) -> bool:
        """Whether no LOGIN has bound the process's user to their volume yet."""
        return self.phase in {Phase.FREE, Phase.BOUND}

    def serves(self, uid: Uid) -> bool:
        """Whether a connection for this user may be answered at all."""
        return self.uid is None or self.uid == uid

    def bind(self, uid: Uid, now: float) -> None:
        """`uid` has come, by a certificate that TLS has verified: the process is theirs from here on.

        Raises:
            ServerTakenError: it is another user's already.
            SessionOverError: it is about to end.
        """
        self.check_user(uid)
        if self.phase is Phase.FREE:
            self.uid, self.phase = uid, Phase.BOUND
            self._login_until = now + self._limits.login

    def log_in(self, uid: Uid) -> None:
        """A LOGIN of `uid`, to whom the process is bound, has arrived: complete, well-formed and proved.

        Raises:
            ServerTakenError: the process is another user's.
            SessionOverError: it is about to end.
        """
        self.check_user(uid)
        if self.phase is Phase.BOUND:
            self.phase = Phase.CLAIMING

    def check_user(self, uid: Uid) -> None:
        """The user may be served here, as far as is known.

        Raises:
            ServerTakenError: the process is another user's.
            SessionOverError: it is about to end.
        """
        if not self.serves(uid):
            raise ServerTakenError("this server belongs to another user; connect again")
        self._check_running()

    def volume_given(self, generation: Generation) -> None:
        """The user's data can be reached, under this generation of its claim.

        Raises:
            SessionOverError: the session was ended while the volume was awaited.
        """
        self._check_running()
        self.phase, self._generation = Phase.LOCKED, generation

    def key_refused(self, now: float) -> StopReason | None:
        """The key did not open the database. A reason means that this was the last try."""
        if self._dedicated or self.phase is not Phase.LOCKED:
            return None
        self._tries += 1
        if self._retry_until is None:
            self._retry_until = now + self._limits.retry
        return self.end(StopReason.REFUSED) if self._tries >= self._limits.tries else None

    def open_failed(self, why: StopReason = StopReason.REFUSED) -> StopReason | None:
        """The database is not opened, whatever the key; a dedicated process stays and may try again."""
        return None if self._dedicated else self.end(why)

    def opened(self) -> None:
        """The database is open; `join` follows in the same step.

        Raises:
            SessionOverError: the session was ended while the database was being opened.
        """
        self._check_running()
        self.phase, self._tries, self._retry_until = Phase.OPEN, 0, None
        self._until = None

    def name(self, secret: str) -> str:
        """The token that is made of a random `secret`."""
        return f"{self._generation}.{secret}"

    def join(self, role: Role, token: str, now: float, login_id: str | None = None) -> float:
        """A client who has shown the right key gets `token` (see `name`); returns the seconds it is good for.

        One given out for the same `login_id` never reached its client: it is good no more, and does not keep the
        session open when the client leaves.

        Raises:
            SessionOverError: the session has ended meanwhile.
        """
        if self.phase is not Phase.OPEN:
            raise SessionOverError("the session has just ended; log in again")
        if self._until is None:
            self._until = now + self._limits.most
        expires = min(now + self._limits.length, self._until)
        if expires <= now:
            raise SessionOverError("the session has just ended; log in again")
        self._take_back(role, login_id)
        self._members[_digest(token)] = Member(role, expires, login_id)
        while len(self._members) > self._limits.members:
            self._members.popitem(last=False)
        self._active = now
        return expires - now

    def authorise(self, uid: Uid, role: Role, token: str, now: float) -> None:
        """A request with this token may be carried out now.

        Raises:
            ServerTakenError: the process is another user's.
            StaleTokenError: it belongs to another claim of the user's volume.
            UnknownTokenError: no such token was given to this role, or it was logged out.
            ExpiredTokenError: it was good once.
        """
        if not self.serves(uid):
            raise ServerTakenError("this server belongs to another user; connect again")
        digest = _digest(token)
        member = self._members.get(digest)
        if member is None or member.role is not role:
            raise self._unknown(token)
        if now >= member.expires or self._due(now) is not None:
            raise ExpiredTokenError("the session has expired; log in again")
        self._members.move_to_end(digest)
        self._active = now

    def logout(self, uid: Uid, role: Role, token: str, now: float) -> StopReason | None:
        """The client of this token leaves. A reason means that it was the last one, and the session has ended.

        Raises:
            As `authorise`.
        """
        self.authorise(uid, role, token, now)
        del self._members[_digest(token)]
        others = any(member.expires > now for member in self._members.values())
        return None if others else self.end(StopReason.LOGOUT)

    def tick(self, now: float) -> StopReason | None:
        """Time has passed. A reason means that the session has ended by it."""
        reason = self._due(now)
        return self.end(reason) if reason else None

    def deadline(self) -> float | None:
        """When `tick` will end the session if nothing happens before."""
        if self.phase is Phase.BOUND:
            return self._login_until
        if self.phase is Phase.LOCKED:
            return self._retry_until
        if self.phase is Phase.OPEN:
            return min(self._last_expiry(), self._active + self._limits.idle)
        return None

    def end(self, reason: StopReason) -> StopReason | None:
        """The session ends, whatever it was doing; None when it had ended before.

        A dedicated process goes on without a session, unless it is being drained or cannot have its volume.
        """
        if self.phase is Phase.OVER:
            return None
        for digest, member in self._members.items():
            self._members[digest] = Member(member.role, _NEVER)
        goes_on = self._dedicated and self.phase is Phase.OPEN and reason is not StopReason.DRAINED
        self.phase = Phase.LOCKED if goes_on else Phase.OVER
        return reason

    def _take_back(self, role: Role, login_id: str | None) -> None:
        for digest, member in list(self._members.items()):
            if login_id is not None and (member.role, member.login_id) == (role, login_id):
                del self._members[digest]

    def _unknown(self, token: str) -> UnauthorizedError:
        generation, _, secret = token.partition(".")
        if secret and generation.isdecimal() and generation != str(self._generation):
            return StaleTokenError("this token belongs to another session of yours; log in")
        return UnknownTokenError("this token is not valid here; log in")

    def _due(self, now: float) -> StopReason | None:
        deadline = self.deadline()
        if deadline is None or now < deadline:
            return None
        if self.phase is Phase.BOUND:
            return StopReason.NO_LOGIN
        if self.phase is Phase.LOCKED:
            return StopReason.REFUSED
        return StopReason.EXPIRED if now >= self._last_expiry() else StopReason.IDLE

    def _last_expiry(self) -> float:
        return max(member.expires for member in self._members.values())

    def _check_running(self) -> None:
        if self.phase is Phase.OVER:
            raise SessionOverError("this server's session has ended; connect again")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
