"""What Landlock can forbid in each of its versions, and what is forbidden here: everything it knows.

The names are the kernel's (`include/uapi/linux/landlock.h`). A right that a ruleset handles is refused everywhere but
below the paths that grant it; a right that it does not handle is not looked at, so an old kernel allows it.
"""

from dataclasses import dataclass
from enum import IntFlag
from functools import cache
from typing import Final


class File(IntFlag):
    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


class Net(IntFlag):
    BIND_TCP = 1 << 0
    CONNECT_TCP = 1 << 1


class Scope(IntFlag):
    ABSTRACT_UNIX_SOCKET = 1 << 0
    SIGNAL = 1 << 1


READ: Final = File.READ_FILE | File.READ_DIR
CHANGE: Final = READ | File.WRITE_FILE | File.TRUNCATE
READ_WRITE: Final = CHANGE | File.MAKE_REG | File.MAKE_DIR | File.REMOVE_FILE | File.REMOVE_DIR
OF_A_FILE: Final = File.EXECUTE | File.WRITE_FILE | File.READ_FILE | File.TRUNCATE | File.IOCTL_DEV
"""What can be granted for a path that is no directory."""
_FIRST: Final = File(File.REFER - 1)
"""Of version 1. It forbids REFER (moves between directories) without being asked."""

# version, and what is missing below it
_REFER, _TRUNCATE, _NET, _IOCTL, _SCOPES = 2, 3, 4, 5, 6
_MISSING: Final = (
    (_TRUNCATE, "cutting files short"),
    (_NET, "TCP ports"),
    (_IOCTL, "ioctl on devices"),
    (_SCOPES, "signals and abstract sockets"),
)


@dataclass(frozen=True, slots=True)
class Handled:
    """What a ruleset of one version forbids where no rule grants it."""

    files: File
    net: Net
    scopes: Scope
    lacks: tuple[str, ...]
    """What this version cannot forbid, for people."""


@cache
def handled(version: int) -> Handled:
    """As much as `version` of Landlock's interface knows."""
    files = _FIRST
    for since, right in (
        (_REFER, File.REFER),
        (_TRUNCATE, File.TRUNCATE),
        (_IOCTL, File.IOCTL_DEV),
    ):
        files |= right if version >= since else File(0)
    return Handled(
        files,
        Net.BIND_TCP | Net.CONNECT_TCP if version >= _NET else Net(0),
        Scope.ABSTRACT_UNIX_SOCKET | Scope.SIGNAL if version >= _SCOPES else Scope(0),
        tuple(what for since, what in _MISSING if version < since),
    )
