"""Landlock: which files the process can open, and which TCP ports it can bind.

A ruleset holds for the thread that applies it and for the threads that it starts later. A second one can only narrow:
both must grant. What is open already stays usable, but a directory's descriptor opens nothing below the directory: the
kernel looks at where a file lies when it is opened, also when it was mounted or moved there later.

Not covered by the kernel's version 7 (found by trying): TCP fast open, multipath TCP, UDP and Unix sockets with a path.
`seccomp` sees to these. chmod, stat and chdir are not looked at; the files' modes are.
"""

import ctypes
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from standby.hardening import access, kernel
from standby.hardening.access import File, Handled, Net
from standby.hardening.errors import UnsupportedError
from standby.hardening.plan import Places

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # on every architecture
_ASK_VERSION: Final = 1
_RULE_PATH, _RULE_PORT = 1, 2


class _RulesetAttr(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


class _PortRule(ctypes.Structure):
    _fields_ = (("allowed_access", ctypes.c_uint64), ("port", ctypes.c_uint64))


_SIZES: Final = ((4, 8), (6, 16))
"""Below this version the kernel knows only so many bytes of the ruleset's attributes."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What a ruleset came to, for people."""

    text: str
    lacks: tuple[str, ...]


def version() -> int:
    """Of the kernel's interface.

    Raises:
        UnsupportedError: it has none, or was started without it.
    """
    try:
        return kernel.syscall(_CREATE_RULESET, 0, 0, _ASK_VERSION)
    except OSError as error:
        if error.errno not in {errno.ENOSYS, errno.EOPNOTSUPP}:
            raise
        raise UnsupportedError(
            "needs Linux 5.13 with landlock among its security modules"
        ) from error


def restrict(places: Places, ports: tuple[int, ...]) -> Applied:
    """Allow the calling thread these only; paths that are not there are left out, and named.

    Raises:
        UnsupportedError: as `version`.
        OSError: the kernel refuses; without no_new_privs that is so for all but root.
    """
    with _rules(places, ports) as (ruleset, applied):
        kernel.syscall(_RESTRICT_SELF, ruleset)
    return applied


def rehearse(places: Places, ports: tuple[int, ...]) -> Applied:
    """All of it but the last step.

    Raises:
        As `restrict`.
    """
    with _rules(places, ports) as (_, applied):
        return applied


@contextmanager
def _rules(places: Places, ports: tuple[int, ...]) -> Iterator[tuple[int, Applied]]:
    known = version()
    handled = access.handled(known)
    with _ruleset(known, handled) as ruleset:
        absent = [
            *_allow(ruleset, places.read_only, access.READ & handled.files),
            *_allow(ruleset, places.read_write, access.READ_WRITE & handled.files),
            *_allow(ruleset, places.changed, access.CHANGE & handled.files),
        ]
        for port in ports if handled.net else ():
            _add(ruleset, _RULE_PORT, _PortRule(Net.BIND_TCP, port))
        yield ruleset, Applied(_text(known, places, ports, absent), handled.lacks)


@contextmanager
def _ruleset(known: int, handled: Handled) -> Iterator[int]:
    attributes = _RulesetAttr(handled.files, handled.net, handled.scopes)
    size = next((size for below, size in _SIZES if known < below), ctypes.sizeof(attributes))
    ruleset = kernel.syscall(_CREATE_RULESET, ctypes.addressof(attributes), size)
    try:
        yield ruleset
    finally:
        os.close(ruleset)


def _allow(ruleset: int, paths: Iterable[Path], rights: File) -> list[Path]:
    """Grant the rights below these paths; returns those that do not exist."""
    absent = []
    for path in paths:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            absent.append(path)
            continue
        try:
            is_directory = stat.S_ISDIR(os.fstat(place).st_mode)
            granted = rights if is_directory else rights & access.OF_A_FILE
            _add(ruleset, _RULE_PATH, _PathRule(granted, place))
        finally:
            os.close(place)
    return absent


def _add(ruleset: int, kind: int, rule: _PathRule | _PortRule) -> None:
    kernel.syscall(_ADD_RULE, ruleset, kind, ctypes.addressof(rule))


def _text(known: int, places: Places, ports: tuple[int, ...], absent: list[Path]) -> str:
    parts = [
        f"version {known}",
        f"{len(places.read_only)} paths to read, {len(places.read_write)} to write, {len(places.changed)} to change",
        f"TCP ports to bind: {', '.join(map(str, ports)) or 'none'}",
    ]
    if absent:
        parts.append(f"not there: {', '.join(map(str, absent))}")
    return "; ".join(parts)
