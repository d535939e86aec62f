"""What a server may say, and when: the rules that it is killed for breaking. Pure.

A server that says LOGIN is believed only about itself. Which user has logged in, that user proves: the server passes
the proof on over its channel (`app_wrapper.attesting.logins`) before it says LOGIN. It is bound to the user whose
requests it reads, before it reads one, and takes no other's proof. So a server that a user has taken over can name no
user but this one.

Two kinds of servers need no proof. One user's own server was given its user by the wrapper, and may name no other. A
server without a channel cannot pass a proof on: the wrapper believes it, and says so when it starts.
"""

from dataclasses import replace
from typing import Final

from app_wrapper.process import Data, Dedicated, Process
from standby.ids import Uid
from standby.states import State, StopReason

_CLOSING_ENDS: Final = frozenset(
    {StopReason.LOGOUT, StopReason.EXPIRED, StopReason.IDLE, StopReason.DRAINED}
)


class RuleBrokenError(Exception):
    """The server said what it must not say."""

    reason = StopReason.KILLED


class UnprovedError(RuleBrokenError):
    """It said LOGIN of a user who did not prove to be there."""

    reason = StopReason.UNPROVED


def check_waiting(process: Process, *, channel: bool) -> None:
    """It may say WAITING_LOGIN; `channel`: servers have one.

    Raises:
        RuleBrokenError: it may not.
    """
    if isinstance(process.purpose, Dedicated):
        raise RuleBrokenError("a dedicated server says LOGIN, never WAITING_LOGIN")
    _check_attested(process, channel=channel)


def check_login(process: Process, uid: Uid, *, channel: bool) -> None:
    """It may say LOGIN of this user, as its first.

    Raises:
        UnprovedError: the user has not proved to be there.
        RuleBrokenError: it may not for another reason.
    """
    if isinstance(process.purpose, Dedicated):
        if process.purpose.uid != uid:
            raise RuleBrokenError(f"LOGIN {uid} by {process.purpose.uid}'s dedicated server")
    elif process.state is State.STARTING:
        raise RuleBrokenError("LOGIN before WAITING_LOGIN")
    elif channel and not (process.proved and process.bound == uid):
        raise UnprovedError(f"LOGIN {uid} without a proof of {uid}")
    _check_attested(process, channel=channel)


def check_login_again(process: Process, uid: Uid) -> None:
    """It may name its user again.

    Raises:
        RuleBrokenError: it is another user's.
    """
    if process.uid != uid:
        raise RuleBrokenError(f"LOGIN {uid} by the server of {process.uid}")


def bound(process: Process, uid: Uid) -> Process:
    """It reads requests of this user from now on.

    Raises:
        RuleBrokenError: it is another user's.
    """
    own = process.purpose.uid if isinstance(process.purpose, Dedicated) else None
    owner = process.uid or process.bound or own
    if owner not in {None, uid}:
        raise RuleBrokenError(f"reads requests of {uid}, and is the server of {owner}")
    return process if owner else replace(process, bound=uid)


def proved(process: Process, uid: Uid) -> Process:
    """The user to whom it is bound has proved to log in.

    Raises:
        RuleBrokenError: it is bound to another one, or has its user already.
    """
    if process.uid is not None or process.bound != uid:
        raise RuleBrokenError(f"passes on a proof of {uid}, to whom it is not bound")
    return replace(process, proved=True)


def closed(process: Process, *, tells: bool) -> bool:
    """Whether it has closed its user's data; `tells`: servers say so, else it follows from how it ended."""
    return process.data is Data.CLOSED if tells else process.reason in _CLOSING_ENDS


def _check_attested(process: Process, *, channel: bool) -> None:
    if channel and process.attestation is None:
        raise RuleBrokenError("it takes a user without having been attested")
