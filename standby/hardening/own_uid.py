"""A uid of the process's own, which no neighbour has: each may then do to the others what any stranger may.

The process changes itself, while it is still root. The wrapper chooses the uid, because only it knows which others are
taken, and hands over what the process needs (`app_wrapper/ownership.py`).

Invariants: there is no way back, neither by a saved uid nor by a capability, and that is tried before it is believed;
the process still dies with its parent; no supplementary group is left. The gid has the same number as the uid, so that
a group's bits can mean this process alone.

With the uid the process loses root's freedom from limits: what it locks in memory counts (RLIMIT_MEMLOCK). The kernel
closes its files in /proc to others, as `process.not_dumpable` does.

Not promised: that no other process has the uid; one that the process starts has. Inside Gramine a uid is Gramine's
affair, and the host's kernel knows nothing of it.

Rejected: the launcher changes the uid before the program starts (`subprocess`'s `user`). The interpreter and its
libraries would have to be readable for that uid to start at all, and a template's forks would need a second way.
"""

import contextlib
import os
from collections.abc import Callable
from typing import Final

from standby import processes
from standby.hardening.errors import UnsupportedError

_LARGEST: Final = 2**32 - 2
"""-1 is no uid: to the kernel it means that nothing is changed."""


def change(uid: int | None) -> str:
    """Be that uid, with the gid of that number, for good; a process of one thread.

    Raises:
        UnsupportedError: no uid was given, and this process could not change to one.
        ValueError: no uid was given to a process that is root; or one that is nobody's own.
        OSError: the kernel refuses, or root could be had back. The process may have lost groups and gid.
    """
    if uid is None:
        if os.geteuid() != 0:
            raise UnsupportedError("needs a wrapper started as root")
        raise ValueError(
            "runs as root, and was given no uid of its own; the wrapper's log says why"
        )
    if not 0 < uid <= _LARGEST:
        raise ValueError(f"{uid} is no uid of a process's own")
    with processes.death_signal_kept():
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    _make_sure(uid)
    return f"uid and gid {uid}, and no way back to root"


def _make_sure(uid: int) -> None:
    """Try what must not go.

    Raises:
        OSError: it went.
    """
    if (os.getresuid(), os.getresgid(), os.getgroups()) != ((uid,) * 3, (uid,) * 3, []):
        raise OSError(f"the process did not become uid and gid {uid}")
    if kept := processes.capabilities("CapPrm"):
        raise OSError(f"capabilities of root are left: {kept:#x}")
    ways: tuple[Callable[[], None], ...] = (lambda: os.setuid(0), lambda: os.setgid(0))
    for way in ways:
        with contextlib.suppress(PermissionError):
            way()
            raise OSError("the process could become root again, and is")
