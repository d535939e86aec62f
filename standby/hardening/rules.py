"""Which system calls are refused to a hardened process, and when.

A list of what is refused, not of what is allowed: the libraries of a Python server use some hundred calls, which change
with their versions, and a call that was forgotten would end a user's session. So this is the second line behind files'
modes and Landlock, and says EPERM rather than killing: what was tried shows in the program's own error.

Only the lower half of an argument is compared; the kernel itself takes no more of those that are used here.
"""

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from standby.hardening import calls

_CLONE_THREAD: Final = 0x0001_0000
_CLONE_NEW_ANY: Final = 0x7E02_0000
"""NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""
_PR_SET_DUMPABLE: Final = 4
_PR_SET_PTRACER: Final = 0x5961_6D61
_MSG_FASTOPEN: Final = 0x2000_0000
_TYPE: Final = 0xF
"""Of a socket, without SOCK_NONBLOCK and SOCK_CLOEXEC."""
_WHOLE: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class AnyBit:
    """True when the argument has one of these bits."""

    argument: int
    bits: int


@dataclass(frozen=True, slots=True)
class NoBit:
    """True when the argument has none of these bits."""

    argument: int
    bits: int


@dataclass(frozen=True, slots=True)
class OneOf:
    """True when the argument is one of these."""

    argument: int
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NoneOf:
    """True when the argument, as far as the mask goes, is none of these."""

    argument: int
    values: tuple[int, ...]
    mask: int = _WHOLE


Condition = AnyBit | NoBit | OneOf | NoneOf


@dataclass(frozen=True, slots=True)
class Rule:
    """The call fails with `error`: always, or if there are conditions, when one of them is true."""

    call: str
    error: int = errno.EPERM
    when: tuple[Condition, ...] = ()


def rules(*, programs: bool, sockets: bool) -> tuple[Rule, ...]:
    """For a process that may or may not start programs and make TCP sockets."""
    return (
        *(() if programs else _NO_PROGRAMS),
        *map(Rule, (*calls.OTHER_PROCESSES, *calls.NAMESPACES)),
        *map(Rule, (*calls.KERNEL, *calls.AROUND_OTHER_CHECKS)),
        Rule("prctl", when=(OneOf(0, (_PR_SET_DUMPABLE, _PR_SET_PTRACER)),)),
        *(_ONLY_TCP if sockets else (Rule("socket"),)),
        # with datagrams a pair's end can send to any other socket
        Rule("socketpair", when=(NoneOf(1, (socket.SOCK_STREAM, socket.SOCK_SEQPACKET), _TYPE),)),
        *_NO_FAST_OPEN,
    )


_NO_PROGRAMS: Final[Sequence[Rule]] = (
    *map(Rule, calls.PROGRAMS),
    Rule("clone", when=(NoBit(0, _CLONE_THREAD), AnyBit(0, _CLONE_NEW_ANY))),
    # its flags lie in memory, which a filter cannot read; the C library then uses clone
    Rule("clone3", errno.ENOSYS),
)
_ONLY_TCP: Final[Sequence[Rule]] = (
    Rule(
        "socket",
        when=(
            NoneOf(0, (socket.AF_INET, socket.AF_INET6)),
            NoneOf(1, (socket.SOCK_STREAM,), _TYPE),
            NoneOf(2, (0, socket.IPPROTO_TCP)),
        ),
    ),
)
_NO_FAST_OPEN: Final[Sequence[Rule]] = tuple(
    Rule(call, when=(AnyBit(flags, _MSG_FASTOPEN),))
    for call, flags in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3))
)
"""Sending can open a connection too, and Landlock does not see it."""
