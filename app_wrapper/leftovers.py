"""Removes what a server's uid has left on the machine, before the slot's next server has that uid.

A server with every layer of hardening leaves nothing, so this is for the others: a kernel that lacks seccomp or
Landlock, or an application that changes its uid and does no more. Root's work; blocking, some milliseconds.

Looked for is what is cheap to find: processes, System V objects, and what lies directly in the places for temporary
files and for objects that look like files. Not found: keys, files deep in directories of other accounts, and POSIX
message queues where no file system shows them (`/dev/mqueue`). Without uids of their own, servers' leftovers cannot be
told from the wrapper's own things, and nothing is removed.
"""

import contextlib
import ctypes
import os
import signal
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app_wrapper import clearing

_PLACES: Final = ("/dev/shm", "/dev/mqueue", "/tmp", "/var/tmp")  # noqa: S108  # not used, cleared
_ROUNDS: Final = 20
"""Of killing; processes that start others may need several."""
_REMOVE: Final = 0
_libc = ctypes.CDLL(None)
_OBJECTS: Final[dict[str, tuple[str, Callable[[int], int]]]] = {
    "shm": ("shmid", lambda number: _libc.shmctl(number, _REMOVE, None)),
    "msg": ("msqid", lambda number: _libc.msgctl(number, _REMOVE, None)),
    "sem": ("semid", lambda number: _libc.semctl(number, 0, _REMOVE)),
}
"""By their file in /proc/sysvipc: the column of their number, and how they are removed."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """How many of each kind were found."""

    processes: int = 0
    objects: int = 0
    files: int = 0


def clear_away(uid: int) -> Cleared:
    """End the processes of this uid, then remove what it owns; what resists is left."""
    return Cleared(_kill_all(uid), _remove_objects(uid), _remove_files(uid))


def _kill_all(uid: int) -> int:
    killed: set[int] = set()
    for _ in range(_ROUNDS):
        found = [pid for pid in _pids() if _has_uid(pid, uid)]
        if not found:
            break
        for pid in found:
            _kill(pid, uid)
        killed.update(found)
    return len(killed)


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208  # names are enough


def _has_uid(pid: int, uid: int) -> bool:
    """Whether the process runs and has the uid: real, effective, saved or for files."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        status = Path(f"/proc/{pid}/status").read_bytes()
        fields = dict(line.split(b":", 1) for line in status.splitlines() if b":" in line)
        return b"%d" % uid in fields[b"Uid"].split() and b"Z" not in fields[b"State"]
    return False


def _kill(pid: int, uid: int) -> None:
    """By a descriptor, so that no other process with the same pid is meant."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            if _has_uid(pid, uid):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        finally:
            os.close(descriptor)


def _remove_objects(uid: int) -> int:
    found = 0
    for kind, (number, remove) in _OBJECTS.items():
        for row in _rows(Path("/proc/sysvipc", kind)):
            if str(uid) in {row["uid"], row["cuid"]}:
                remove(int(row[number]))
                found += 1
    return found


def _rows(file: Path) -> list[dict[str, str]]:
    """None where the kernel has no such objects."""
    with contextlib.suppress(FileNotFoundError):
        header, *lines = file.read_text("ascii").splitlines()
        return [dict(zip(header.split(), line.split(), strict=True)) for line in lines]
    return []


def _remove_files(uid: int) -> int:
    found = 0
    for place in {*_PLACES, tempfile.gettempdir()}:
        with contextlib.suppress(FileNotFoundError, PermissionError), os.scandir(place) as entries:
            for entry in entries:
                found += _removed(entry, uid)
    return found


def _removed(entry: "os.DirEntry[str]", uid: int) -> bool:
    """Whether it belongs to the uid."""
    with contextlib.suppress(OSError):
        status = entry.stat(follow_symlinks=False)
        if status.st_uid != uid:
            return False
        if stat.S_ISDIR(status.st_mode):
            clearing.empty(Path(entry.path))
            os.rmdir(entry.path)  # noqa: PTH106  # as it is
        else:
            os.unlink(entry.path)  # noqa: PTH108  # as it is
        return True
    return False
