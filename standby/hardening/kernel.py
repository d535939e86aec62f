"""System calls for which Python has no function."""

import ctypes
import os
from typing import Final

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_ARGUMENTS: Final = 6


def syscall(number: int, *arguments: int) -> int:
    """A system call by its number; pointers are passed as addresses, whose buffers the caller keeps alive.

    Raises:
        OSError: the kernel's answer.
    """
    padded = (*arguments, *(0,) * (_ARGUMENTS - len(arguments)))
    result: int = _libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, padded))
    return _checked(result)


def prctl(option: int, *arguments: int) -> int:
    """As `syscall`; arguments that are not given are zero, as the newer options demand."""
    padded = (*arguments, *(0,) * (4 - len(arguments)))
    result: int = _libc.prctl(ctypes.c_int(option), *map(ctypes.c_ulong, padded))
    return _checked(result)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
