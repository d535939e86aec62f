"""The calls whose arguments decide (`calls.Verdict.BY_ARGUMENTS`), and by which conditions.

Each call has a list of what is not allowed, or, where one call does many things (`fcntl`, `ioctl`, `prctl`), of what
is. The lists of what is allowed hold what Python, OpenSSL, SQLCipher and libuv use, and what else is harmless.

Only the lower half of an argument is compared. The kernel itself takes no more of those that are used here.
"""

import errno
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_CLONE_THREAD: Final = 0x0001_0000
_CLONE_NEW_ANY: Final = 0x7E02_0000
"""NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""
_MAP_GROWSDOWN: Final = 0x100
_MAP_KIND: Final = 0x22
"""MAP_PRIVATE and MAP_ANONYMOUS. MAP_SHARED_VALIDATE has the first bit, too, and needs a file."""
_MAP_COUNTED: Final = (0x00, 0x02, 0x22)
"""Shared with a file, a private view of a file, private without a file."""
_MSG_FASTOPEN: Final = 0x2000_0000
_TYPE: Final = 0xF
"""Of a socket, without SOCK_NONBLOCK and SOCK_CLOEXEC."""
_OF_A_PROCESS: Final = 0x8000_0000
"""In a clock's number: the rest says whose processor time it counts, or which device's time it shows."""
_WHOLE: Final = 0xFFFF_FFFF
_FCNTL: Final = (
    *range(8),  # DUPFD, GETFD, SETFD, GETFL, SETFL, GETLK, SETLK, SETLKW; SETOWN and SETSIG follow
    9,  # GETOWN
    *(36, 37, 38),  # locks of an open file description
    1027,  # DUPFD_QUERY
    1030,  # DUPFD_CLOEXEC; SETPIPE_SZ follows, whose pages are counted for the account
    *(1032, 1033, 1034),  # GETPIPE_SZ, ADD_SEALS, GET_SEALS
)
_IOCTL: Final = (
    0x5401,  # TCGETS, and TCGETS2: is it a terminal?
    0x802C_542A,
    0x5411,  # SIOCOUTQ
    0x5413,  # TIOCGWINSZ
    *(0x541B, 0x5421),  # FIONREAD, FIONBIO
    *(0x5450, 0x5451),  # FIONCLEX, FIOCLEX
)
_PRCTL: Final = (
    *(2, 3),  # GET_PDEATHSIG, GET_DUMPABLE
    *(15, 16),  # SET_NAME, GET_NAME
    *(21, 22, 23),  # GET_SECCOMP, SET_SECCOMP, CAPBSET_READ
    *(29, 30),  # SET_TIMERSLACK, GET_TIMERSLACK
    *(38, 39, 40),  # SET_NO_NEW_PRIVS, GET_NO_NEW_PRIVS, GET_TID_ADDRESS
    *(50, 51),  # SVE_SET_VL, SVE_GET_VL
    *(54, 55, 56),  # PAC_RESET_KEYS, SET_TAGGED_ADDR_CTRL, GET_TAGGED_ADDR_CTRL
    *(65, 66),  # SET_MDWE, GET_MDWE
    0x5356_4D41,  # SET_VMA: names of mappings
)


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
class NoneOf:
    """True when the argument, as far as the mask goes, is none of these."""

    argument: int
    values: tuple[int, ...]
    mask: int = _WHOLE


@dataclass(frozen=True, slots=True)
class OtherProcess:
    """True when the argument is neither the process's own pid nor, with `zero`, 0."""

    argument: int
    zero: bool


Condition = AnyBit | NoBit | NoneOf | OtherProcess


@dataclass(frozen=True, slots=True)
class Rule:
    """The call fails with `error` when one of the conditions is true."""

    when: tuple[Condition, ...]
    error: int = errno.EPERM


_OTHER: Final = Rule((OtherProcess(0, zero=True),))
_OTHER_OR_GROUP: Final = Rule((OtherProcess(0, zero=False),))
"""For signals: 0 and negative numbers are groups of processes."""
_CLOCK: Final = Rule((AnyBit(0, _OF_A_PROCESS),))
RULES: Final[Mapping[str, Rule]] = {
    "mmap": Rule((AnyBit(3, _MAP_GROWSDOWN), NoneOf(3, _MAP_COUNTED, _MAP_KIND))),
    "clone": Rule((NoBit(0, _CLONE_THREAD), AnyBit(0, _CLONE_NEW_ANY))),
    "prctl": Rule((NoneOf(0, _PRCTL),)),
    "fcntl": Rule((NoneOf(1, _FCNTL),)),
    "ioctl": Rule((NoneOf(1, _IOCTL),)),
    # with datagrams an end of a pair can send to any other socket
    "socketpair": Rule(
        (
            NoneOf(0, (socket.AF_UNIX,)),
            NoneOf(1, (socket.SOCK_STREAM, socket.SOCK_SEQPACKET), _TYPE),
        )
    ),
    # sending can open a connection, and Landlock does not see it
    "sendto": Rule((AnyBit(3, _MSG_FASTOPEN),)),
    "kill": _OTHER_OR_GROUP,
    "tkill": _OTHER_OR_GROUP,
    "tgkill": _OTHER_OR_GROUP,
    "prlimit64": _OTHER,
    "getpgid": _OTHER,
    "getsid": _OTHER,
    "get_robust_list": _OTHER,
    "getpriority": Rule((NoneOf(0, (0,)), OtherProcess(1, zero=True))),
    "sched_getaffinity": _OTHER,
    "sched_getattr": _OTHER,
    "sched_getparam": _OTHER,
    "sched_getscheduler": _OTHER,
    "sched_rr_get_interval": _OTHER,
    "clock_gettime": _CLOCK,
    "clock_getres": _CLOCK,
    "clock_nanosleep": _CLOCK,
    # with ports only
    "socket": Rule(
        (
            NoneOf(0, (socket.AF_INET, socket.AF_INET6)),
            NoneOf(1, (socket.SOCK_STREAM,), _TYPE),
            NoneOf(2, (0, socket.IPPROTO_TCP)),
        )
    ),
    "bind": Rule(()),
}
