"""Seccomp: which system calls the process can make; `calls` says which, and `rules` with which arguments."""

import ctypes
import errno
import os
from functools import cache
from typing import Final

from standby.hardening import bpf, calls, kernel
from standby.hardening.calls import CallClass, Verdict
from standby.hardening.errors import UnsupportedError
from standby.hardening.rules import RULES

_SET_MODE_FILTER: Final = 1


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def filter_calls(*, sockets: bool) -> str:
    """For the calling thread and those it starts; a second filter can only refuse more.

    Raises:
        UnsupportedError: no filters in this kernel, or another architecture than the two that are known here.
        OSError: the kernel refuses; without no_new_privs that is so for all but root.
    """
    made, number = compiled(sockets=sockets)
    _install(made.of(os.getpid()), made.length, number)
    return _text(made)


def rehearse(*, sockets: bool) -> str:
    """All of it but the last step.

    Raises:
        UnsupportedError: as `filter_calls`.
    """
    made, _ = compiled(sockets=sockets)
    return _text(made)


@cache
def compiled(*, sockets: bool) -> tuple[bpf.Filter, int]:
    """The filter, and the number of the call that installs it; made once, and shared by servers that are forked later.

    Raises:
        UnsupportedError: as `filter_calls`.
    """
    machine = os.uname().machine
    if machine not in bpf.ARCHITECTURES:
        raise UnsupportedError(f"no numbers of system calls for {machine}")
    architecture = bpf.ARCHITECTURES[machine]
    made = bpf.program(verdicts(architecture.column, sockets=sockets), architecture)
    return made, calls.all_numbers(architecture.column)["seccomp"]


def verdicts(column: int, *, sockets: bool) -> dict[int, bpf.Verdict]:
    """What is answered to each number of an architecture, for a process that may or may not make TCP sockets."""
    return {
        number: _verdict(each, name, sockets=sockets)
        for each in calls.CLASSES
        for name, number in calls.numbers(each.calls, column).items()
    }


def _verdict(of: CallClass, call: str, *, sockets: bool) -> bpf.Verdict:
    match of.verdict:
        case Verdict.ALLOWED:
            return bpf.ALLOW
        case Verdict.BY_ARGUMENTS:
            return RULES[call]
        case Verdict.WITH_PORTS:
            return RULES[call] if sockets else bpf.refuse(errno.EPERM)
        case Verdict.REFUSED:
            return bpf.refuse(errno.EPERM)
        case Verdict.ABSENT:
            return bpf.refuse(errno.ENOSYS)


def _text(made: bpf.Filter) -> str:
    return f"{made.length} instructions"


def _install(code: bytes, length: int, number: int) -> None:
    buffer = ctypes.c_char_p(code)
    address = ctypes.cast(buffer, ctypes.c_void_p).value
    loaded = _Program(length, address)
    try:
        kernel.syscall(number, _SET_MODE_FILTER, 0, ctypes.addressof(loaded))
    except OSError as error:
        if error.errno not in {errno.ENOSYS, errno.EINVAL}:
            raise
        raise UnsupportedError("needs Linux 3.17 with CONFIG_SECCOMP_FILTER") from error
