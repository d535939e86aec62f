"""Seccomp: which system calls the process can make; `rules` says which not."""

import ctypes
import errno
import os
from functools import cache
from typing import Final

from standby.hardening import bpf, kernel
from standby.hardening.errors import UnsupportedError
from standby.hardening.rules import rules

_NUMBERS: Final = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER: Final = 1


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def filter_calls(*, programs: bool, sockets: bool) -> str:
    """For the calling thread and those it starts; a second filter can only refuse more.

    Raises:
        UnsupportedError: no filters in this kernel, or another architecture than the two that are known here.
        OSError: the kernel refuses; without no_new_privs that is so for all but root.
    """
    code = compiled(programs=programs, sockets=sockets)
    _install(code, _NUMBERS[os.uname().machine])
    return f"{len(code) // bpf.SIZE} instructions"


def rehearse(*, programs: bool, sockets: bool) -> str:
    """All of it but the last step.

    Raises:
        UnsupportedError: as `filter_calls`.
    """
    return f"{len(compiled(programs=programs, sockets=sockets)) // bpf.SIZE} instructions"


@cache
def compiled(*, programs: bool, sockets: bool) -> bytes:
    """The filter's program; made once, so that servers that are forked later share it.

    Raises:
        UnsupportedError: as `filter_calls`.
    """
    machine = os.uname().machine
    if machine not in bpf.ARCHITECTURES:
        raise UnsupportedError(f"no numbers of system calls for {machine}")
    made = bpf.program(rules(programs=programs, sockets=sockets), bpf.ARCHITECTURES[machine])
    return b"".join(each.packed() for each in made)


def _install(code: bytes, number: int) -> None:
    buffer = ctypes.c_char_p(code)
    address = ctypes.cast(buffer, ctypes.c_void_p).value
    loaded = _Program(len(code) // bpf.SIZE, address)
    try:
        kernel.syscall(number, _SET_MODE_FILTER, 0, ctypes.addressof(loaded))
    except OSError as error:
        if error.errno not in {errno.ENOSYS, errno.EINVAL}:
            raise
        raise UnsupportedError("needs Linux 3.17 with CONFIG_SECCOMP_FILTER") from error
