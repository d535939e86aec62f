"""Child processes that cannot outlive their parent, and ports that stay ours while a part restarts."""

import contextlib
import ctypes
import errno
import os
import signal
import socket
from collections.abc import Callable, Iterator
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta

Pid = Annotated[int, Meta(ge=1, le=1 << 22)]
"""Of one process: never 0 or negative, which mean groups; the kernel's PID_MAX_LIMIT."""
OsUid = Annotated[int, Meta(ge=0, le=2**32 - 2)]
"""Numeric user of a process; the highest number means "unchanged"."""
Descriptor = Annotated[int, Meta(ge=0, le=2**31 - 1)]
_PR_SET_PDEATHSIG: Final = 1
_PR_GET_PDEATHSIG: Final = 2
_PR_SET_CHILD_SUBREAPER: Final = 36
STARTING_NICENESS: Final = 10
"""Of a process that starts while others serve; the kernel then gives it a tenth of what they get, if they want it."""
SERVING_NICENESS: Final = 2
"""Of a server, against its wrapper and other parts: it gets two thirds of what one of these gets, if they want it. So a
server that keeps a processor busy cannot keep them from it. More would slow the users of a busy machine."""
_prctl = ctypes.CDLL(None).prctl


class Capability(IntEnum):
    """Parts of root's power, by the kernel's numbers (`include/uapi/linux/capability.h`)."""

    CHOWN = 0
    DAC_OVERRIDE = 1
    FOWNER = 3
    KILL = 5
    SETGID = 6
    SETUID = 7
    SYS_NICE = 23


def dies_with_parent() -> Callable[[], None]:
    """A `preexec_fn` after which the kernel kills the child as soon as this process is gone.

    The death signal belongs to the thread that forks, so children must be started from the main thread. The check of
    the parent's id closes the gap in which the parent died before the request was made.
    """
    parent = os.getpid()
    return lambda: die_with(parent)


def die_with(parent: int) -> None:
    """From now on the kernel kills this process when its parent is gone; at once if that is not `parent` any more."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


@contextlib.contextmanager
def death_signal_kept() -> Iterator[None]:
    """Around a change of credentials, at which the kernel forgets that the process wants to die with its parent.

    If it wanted that before, it does so afterwards, and ends at once if its parent has gone meanwhile. The signal is
    sent with the parent's rights, so from then on the parent needs `Capability.KILL`.
    """
    wanted, parent = _wants_death_signal(), os.getppid()
    try:
        yield
    finally:
        if wanted:
            die_with(parent)


def _wants_death_signal() -> bool:
    number = ctypes.c_int()
    _prctl(_PR_GET_PDEATHSIG, ctypes.byref(number))
    return number.value != 0


def adopt_orphans() -> None:
    """Descendants of this process whose parents end become its children, which it has to reap."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


@cache
def may_prefer() -> bool:
    """Whether this process may give another one back the priority that it gave up."""
    return bool(capabilities() >> Capability.SYS_NICE & 1)


def capabilities(kind: str = "CapEff") -> int:
    """One bit for each that this process has in effect; with `CapPrm`, for each that it could put into effect.

    Works where no library can be loaded any more: Python loads the codec of a text file when it first opens one.
    """
    for line in Path("/proc/self/status").read_bytes().splitlines():
        if line.startswith(kind.encode()):
            return int(line.split()[1], 16)
    return 0


def give_way(leader: int) -> None:
    """From now on that process, which leads a session, runs when others leave it the processor.

    Without the right to take that back it only gets what it will have when it serves.
    """
    _set_niceness(leader, STARTING_NICENESS if may_prefer() else SERVING_NICENESS)


def take_turns_again(leader: int) -> None:
    """Every thread of its process group has the priority of a server from now on."""
    if may_prefer():
        _set_niceness(leader, SERVING_NICENESS)


def _set_niceness(leader: int, niceness: int) -> None:
    """Where the kernel shares the processor among sessions first, it is the session that must be nice.

    That is so with `sched_autogroup_enabled`, the default of most distributions; the niceness of a process then means
    nothing outside of its session. Without root's rights the kernel allows ten such changes a second, for all accounts
    together, and none of a process that is not dumpable. A session whose change is refused has the usual share.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.setpriority(os.PRIO_PGRP, leader, niceness)
    with contextlib.suppress(OSError):  # this kernel has none, or the process is gone
        Path(f"/proc/{leader}/autogroup").write_bytes(b"%d" % niceness)


def reserve_port(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """A bound socket that never listens: it keeps a port for children that bind it with SO_REUSEPORT.

    While no child listens, connections are refused at once rather than left waiting in a backlog. `port` 0 lets the
    system choose; read it from `getsockname()`. Close the socket to give the port back.

    It is bound without SO_REUSEPORT, which it gets afterwards: so no two processes of one account reserve one port.

    Raises:
        OSError: the port is taken, by another reservation of this account too.
    """
    try:
        sock = _bound(host, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        sock = _bound(host, port, past_ones=True)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return sock


def _bound(host: str, port: int, *, past_ones: bool = False) -> socket.socket:
    """`past_ones`: though the kernel still remembers connections there that have ended, which it does for a minute."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, past_ones)
        sock.bind((host, port))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except OSError:
        sock.close()
        raise
    return sock


def start_time(pid: int) -> int | None:
    """When the process started, in clock ticks since the machine's boot; None when there is none.

    With the pid it names one process for good: pids are reused, pairs are not.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123  # hot
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in {"Z", "X"} else int(fields[19])
