"""Two processes of one account: every call by which one can name the other, tried on its parent, as on a wrapper.

The lists are those of `standby.hardening.calls`, so a call that is added there needs an attempt here.
"""

import contextlib
import ctypes
import errno
import functools
import json
import os
import resource
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from standby.hardening import Layer, Outcome, Plan, calls, harden, kernel
from tests.integration.standby import NUMBERS, OTHER_UIDS, become, in_child

_ACCOUNT: Final = OTHER_UIDS[-1]
_CLASSES: Final = {
    "calls that name a process",
    "other processes",
    "shares of processors and memory",
}
_DONE: Final = "done"
_OWN_MEMORY: Final = {"mbind", "get_mempolicy", "set_mempolicy", "set_mempolicy_home_node"}
"""Of these classes, and acting on the caller alone."""
_NOT_WITHOUT_RIGHTS: Final = {"perf_event_open", "process_madvise", "process_mrelease"}
"""Refused to an account without rights by most kernels anyway."""
_NOT_EVERYWHERE: Final = {"kcmp"}
"""Not in every kernel."""
_FILES: Final = 20
_NICENESS: Final = 7
_SEIZE: Final = 0x4206
_SCHED_BATCH: Final = 3
_CAPABILITIES_V3: Final = 0x2008_0522
_CLOCK_OF: Final = 2
"""Processor time of a process, whose pid is in the rest of the clock's number."""
_AFTER: Final = (3 << 13) | 7
"""An I/O priority: idle."""
_SETOWN, _SETSIG, _SIOCSPGRP = 8, 10, 0x8902
Attempt = Callable[[], object]


class Buffers:
    """Memory that calls read and write; kept alive as long as this is."""

    def __init__(self) -> None:
        self._kept: list[Any] = []

    def of(self, content: bytes) -> int:
        made = ctypes.create_string_buffer(content, len(content))
        self._kept.append(made)
        return ctypes.addressof(made)

    def empty(self, size: int = 256) -> int:
        return self.of(bytes(size))

    def vector(self, address: int, size: int) -> int:
        return self.of(struct.pack("QQ", address, size))


def attempts(parent: int, pidfd: int) -> dict[str, Attempt]:
    """By call, each on the parent; `pidfd` is one of it that was opened before."""
    buffers = Buffers()
    empty, mine = buffers.empty, os.getpid()
    limits = buffers.of(struct.pack("QQ", _FILES, _FILES))
    attributes = buffers.of(struct.pack("IIQiIQQQ", 48, 0, 0, _NICENESS, 0, 0, 0, 0))
    queued = buffers.of(struct.pack("iii", 0, 0, -1).ljust(128, b"\0"))
    clock = ~parent << 3 | _CLOCK_OF
    soon = buffers.of(struct.pack("qq", 0, 1))
    byte = buffers.of(b"x")
    here, there = buffers.vector(empty(), 1), buffers.vector(byte, 1)
    header = buffers.of(struct.pack("Ii", _CAPABILITIES_V3, parent))
    one = buffers.of(struct.pack("Q", 1))
    first = buffers.of(struct.pack("Q", 1 << min(os.sched_getaffinity(0))))
    given: dict[str, tuple[int, ...]] = {
        "kill": (parent, 0),
        "tkill": (parent, 0),
        "tgkill": (parent, parent, 0),
        "prlimit64": (parent, resource.RLIMIT_NOFILE, limits, 0),
        "getpgid": (parent,),
        "getsid": (parent,),
        "get_robust_list": (parent, empty(), empty()),
        "getpriority": (os.PRIO_PROCESS, parent),
        "sched_getaffinity": (parent, 128, empty()),
        "sched_getattr": (parent, empty(), 48, 0),
        "sched_getparam": (parent, empty()),
        "sched_getscheduler": (parent,),
        "sched_rr_get_interval": (parent, empty()),
        "clock_gettime": (clock, empty()),
        "clock_getres": (clock, empty()),
        "clock_nanosleep": (clock, 1, soon, 0),
        "ptrace": (_SEIZE, parent, 0, 0),
        "process_vm_readv": (parent, here, 1, there, 1, 0),
        "process_vm_writev": (parent, there, 1, there, 1, 0),
        "process_madvise": (pidfd, there, 1, 20, 0),
        "process_mrelease": (pidfd, 0),
        "kcmp": (parent, mine, 1, 0, 0),
        "pidfd_open": (parent, 0),
        "pidfd_getfd": (pidfd, 0, 0),
        "pidfd_send_signal": (pidfd, 0, 0, 0),
        "rt_sigqueueinfo": (parent, 0, queued),
        "rt_tgsigqueueinfo": (parent, parent, 0, queued),
        "capget": (header, empty()),
        "migrate_pages": (parent, 64, one, one),
        "move_pages": (parent, 0, 0, 0, 0, 0),
        "perf_event_open": (
            buffers.of(struct.pack("II", 1, 112).ljust(112, b"\0")),
            parent,
            -1,
            -1,
        ),
        "setpriority": (os.PRIO_PROCESS, parent, _NICENESS),
        "ioprio_get": (1, parent),
        "ioprio_set": (1, parent, _AFTER),
        "sched_setaffinity": (parent, 8, first),
        "sched_setattr": (parent, attributes, 0),
        "sched_setparam": (parent, empty()),
        "sched_setscheduler": (parent, _SCHED_BATCH, empty()),
        **dict.fromkeys(_OWN_MEMORY, ()),
    }
    tried: dict[str, Attempt] = {
        call: functools.partial(kernel.syscall, NUMBERS[call], *arguments)
        for call, arguments in given.items()
    }
    ours, theirs = socket.socketpair()
    return tried | {
        "fcntl": lambda: kernel.syscall(NUMBERS["fcntl"], ours.fileno(), _SETOWN, parent),
        "fcntl with a signal of its choice": lambda: kernel.syscall(
            NUMBERS["fcntl"], ours.fileno(), _SETSIG, signal.SIGKILL
        ),
        "ioctl": lambda: kernel.syscall(
            NUMBERS["ioctl"], theirs.fileno(), _SIOCSPGRP, buffers.of(struct.pack("i", parent))
        ),
    }


def _outcome(attempt: Attempt) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return _DONE


@contextlib.contextmanager
def _neighbour(layers: frozenset[Layer]) -> Iterator[int]:
    """Reads what a child of this process, with these layers, has found; the child has tried everything then."""
    read, write = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            pidfd = os.pidfd_open(parent)
            tries = attempts(parent, pidfd)
            report = harden(Plan(layers=layers))
            found = {name: _outcome(attempt) for name, attempt in tries.items()}
            lacking = [each.text for each in report.layers if each.outcome != Outcome.APPLIED]
            os.write(write, json.dumps([lacking, found]).encode())
        os._exit(0)
    os.close(write)
    try:
        yield read
    finally:
        os.close(read)
        os.waitpid(child, 0)


def try_on_parent(hardened: bool) -> dict[str, Any]:
    """In the child of the test: be an account, and the parent of a process that tries everything on it."""
    become(_ACCOUNT)
    before = _state()
    layers = {Layer.NO_NEW_PRIVS, Layer.SECCOMP} if hardened else set()
    with _neighbour(frozenset(layers)) as pipe:
        text = b""
        while chunk := os.read(pipe, 1 << 16):
            text += chunk
    lacking, found = json.loads(text)
    return {"lacking": lacking, "found": found, "before": before, "after": _state()}


def _state() -> dict[str, Any]:
    """What a neighbour could have changed."""
    return {
        "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "processors": sorted(os.sched_getaffinity(0)),
        "policy": os.sched_getscheduler(0),
        "I/O": kernel.syscall(NUMBERS["ioprio_get"], 1, 0),
    }


@functools.cache
def tried(*, hardened: bool) -> dict[str, Any]:
    told: dict[str, Any] = in_child(try_on_parent, hardened=hardened)
    if told["lacking"]:
        pytest.skip(f"this kernel lacks a layer: {told['lacking']}")
    return told


def _yama() -> bool:
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    return scope.exists() and scope.read_text().strip() != "0"


def test_every_call_of_the_list_is_tried() -> None:
    listed = {
        name
        for each in calls.CLASSES
        if each.title in _CLASSES
        for name in calls.numbers(each.calls, 0)
    }
    assert listed | {"fcntl", "ioctl"} <= set(tried(hardened=True)["found"])


def test_without_the_filter_they_reach_the_parent_and_it_is_changed() -> None:
    if _yama():
        pytest.skip("this kernel's Yama forbids some of it already")
    told = tried(hardened=False)
    kept = _NOT_WITHOUT_RIGHTS | _NOT_EVERYWHERE | _OWN_MEMORY
    others = {name: how for name, how in told["found"].items() if name not in kept}
    assert others == dict.fromkeys(others, _DONE)
    changed = {what for what, was in told["before"].items() if told["after"][what] != was}
    assert changed >= {"files", "niceness", "policy", "I/O"}
    assert told["after"]["files"] == _FILES
    assert told["after"]["processors"] == told["before"]["processors"][:1]


def test_with_the_filter_they_are_refused_and_nothing_is_changed() -> None:
    told = tried(hardened=True)
    assert told["found"] == dict.fromkeys(told["found"], "EPERM")
    assert told["after"] == told["before"]
