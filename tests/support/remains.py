"""What an account has on this machine: processes, objects without a file, files in places that all share.

Independent of the product's own clearing away, so that each can show the other wrong.
"""

import ctypes
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PLACES: Final = ("/dev/shm", "/dev/mqueue", "/tmp", "/var/tmp", "/run/lock", "/run/user")  # noqa: S108
_DEPTH: Final = 2
"""Directories within each other; other tests have many files deeper down."""
_KINDS: Final = {"shm": "shmid", "msg": "msqid", "sem": "semid"}
_REMOVE: Final = 0
_libc = ctypes.CDLL(None, use_errno=True)


def of(uid: int) -> set[str]:
    """Each in words; `remove_objects` undoes those that tests make on purpose."""
    return {*processes(uid), *objects(uid), *keys(uid), *files(uid)}


def processes(uid: int) -> Iterator[str]:
    """Those that have the uid, effective or in reserve."""
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                lines = (each / "status").read_text().splitlines()
            except (FileNotFoundError, ProcessLookupError):
                continue
            fields = dict(line.split(":", 1) for line in lines if ":" in line)
            if str(uid) in fields["Uid"].split():
                yield f"process {each.name} ({fields['Name'].strip()})"


def objects(uid: int) -> Iterator[str]:
    """System V shared memory, message queues and semaphores."""
    for kind, name in _KINDS.items():
        header, *rows = Path("/proc/sysvipc", kind).read_text().splitlines()
        columns = header.split()
        for row in rows:
            fields = dict(zip(columns, row.split(), strict=True))
            if str(uid) in {fields["uid"], fields["cuid"]}:
                yield f"{kind} {fields[name]}"


def keys(uid: int) -> Iterator[str]:
    """How many keys the kernel counts for it."""
    for line in Path("/proc/key-users").read_text().splitlines():
        owner, _, rest = line.partition(":")
        if int(owner) == uid:
            yield f"keys {rest.split()[1].split('/')[0]}"


def files(uid: int) -> Iterator[str]:
    """In the places for temporary files and for objects that look like files, and some directories below."""
    for place in {*_PLACES, tempfile.gettempdir()}:
        for directory, names, others in os.walk(place):
            if directory.count("/") - place.count("/") >= _DEPTH:
                names.clear()
            for name in (*names, *others):
                path = os.path.join(directory, name)  # noqa: PTH118  # many
                try:
                    found = os.lstat(path)
                except (FileNotFoundError, PermissionError):
                    continue
                if found.st_uid == uid and not stat.S_ISLNK(found.st_mode):
                    yield f"file {path}"


def remove_queue(name: str) -> bool:
    """Whether there was a POSIX message queue of this name."""
    return bool(_libc.mq_unlink(f"/{name}".encode()) == 0)


def remove_objects(found: set[str]) -> None:
    """Remove the System V objects among them, and nothing else."""
    for each in found:
        kind, _, name = each.partition(" ")
        number = ctypes.c_int(int(name)) if kind in _KINDS else None
        match kind:
            case "shm":
                _libc.shmctl(number, _REMOVE, None)
            case "msg":
                _libc.msgctl(number, _REMOVE, None)
            case "sem":
                _libc.semctl(number, 0, _REMOVE)
            case _:
                pass
