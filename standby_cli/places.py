"""Whether a directory can hold a platform's state, looked at before anything lies in it.

Two questions. Could another account exchange what lies there? It could if a directory on the way belongs to it, or can
be written by it, or a link on the way is its own: root would then keep keys where a user can put others in their place.
And can the file system do what is needed? That is tried, since no type or option of a file system says it.

Modes are looked at, not access control lists. A directory of mode 1777, such as /tmp, lets nobody exchange what belongs
to others, so it may be on the way. Group 0 and the account's own group count as the account.
"""

import errno
import fcntl
import mmap
import os
import pwd
import shutil
import socket
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app_wrapper import server_uids
from standby import durable
from standby.errors import words
from standby.processes import Capability, capabilities
from standby_cli.errors import ConfigurationError

ROOM: Final = 64 * 2**20
"""Bytes. A platform that has just started has 10 MiB of compiled programs, certificates and logs for each wrapper."""
FILES: Final = 2000
"""A wrapper begins with some hundred files of compiled programs."""
_NOBODY: Final = 65534
"""What the kernel shows for an owner that has no number in a container."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the platform."""

    uid: int
    gid: int
    unmapped: bool = False
    """Owners outside of this container are all shown as one, root's among them."""


@dataclass(frozen=True, slots=True)
class Step:
    """A directory, or a link, on the way to a place; the place itself may be a file."""

    path: Path
    uid: int
    gid: int
    mode: int


def refuse_foreign(path: Path) -> None:
    """Refuse a place that another account could exchange; what is not there yet is not looked at.

    Raises:
        ConfigurationError: which directory on the way it is.
    """
    try:
        why = foreign(_way(path), _account())
    except RuntimeError as error:
        raise ConfigurationError(f"{path} cannot be used: a link in it leads to itself") from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be used: {words(error)}") from error
    if why is not None:
        raise ConfigurationError(
            f"{why}, and could exchange what the platform keeps in {path};"
            " choose a place that only root and this account can change (--state-dir or STANDBY_STATE_DIR)"
        )


def foreign(way: Iterable[Step], account: Account) -> str | None:
    """Which step other accounts can change, as the beginning of a sentence; None: none."""
    trusted = {0, account.uid} | ({_NOBODY} if account.unmapped else set())
    for step in way:
        if step.uid not in trusted:
            return f"{step.path} belongs to {_name(step.uid)}, who is neither root nor this account"
        sticky = stat.S_ISDIR(step.mode) and step.mode & stat.S_ISVTX
        if not stat.S_ISLNK(step.mode) and not sticky:
            group = step.mode & stat.S_IWGRP and step.gid not in {0, account.gid}
            if step.mode & stat.S_IWOTH or group:
                who = "every account" if step.mode & stat.S_IWOTH else f"group {step.gid}"
                return f"{step.path} (mode {stat.S_IMODE(step.mode):04o}) can be written by {who}"
    return None


def refuse_useless(directory: Path, room: int = ROOM) -> None:
    """Try in the directory all that a platform needs there; it is made if it does not exist.

    Raises:
        ConfigurationError: what cannot be done there.
    """
    what = "directories cannot be made"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        what = "files cannot be made"
        scratch = Path(tempfile.mkdtemp(prefix=".try-", dir=directory))
        try:
            for what, attempt in _attempts(room):  # noqa: B007  # names the one that failed
                attempt(scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise ConfigurationError(
            f"{directory} cannot hold a platform's state, {what} there: {_reason(error)};"
            " mend that or choose another place (--state-dir or STANDBY_STATE_DIR)"
        ) from error


def _attempts(room: int) -> Iterator[tuple[str, Callable[[Path], None]]]:
    yield f"{room >> 20} MiB and {FILES} files do not fit", lambda scratch: _fits(scratch, room)
    yield "files cannot be locked", _locks
    yield "modes of files are not kept", _keeps_modes
    yield "files cannot be given a second name", _links
    yield "files cannot be shared in memory", _maps
    yield "sockets cannot be made", _makes_sockets
    if os.geteuid() == 0 and capabilities() >> Capability.CHOWN & 1:
        yield "files cannot be given to servers' accounts", _gives_away


def _fits(scratch: Path, room: int) -> None:
    found = os.statvfs(scratch)
    if found.f_files and found.f_favail < FILES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with (scratch / "room").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, room)  # asks quotas, too
    (scratch / "room").unlink()
    durable.replace(scratch / "file", b"content")


def _locks(scratch: Path) -> None:
    with (scratch / "file").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _keeps_modes(scratch: Path) -> None:
    for mode in (0o600, 0o640):
        (scratch / "file").chmod(mode)
        if stat.S_IMODE((scratch / "file").stat().st_mode) != mode:
            raise OSError(errno.EOPNOTSUPP, "another one is there after chmod")


def _links(scratch: Path) -> None:
    os.link(scratch / "file", scratch / "second")


def _maps(scratch: Path) -> None:
    with (scratch / "file").open("r+b") as file, mmap.mmap(file.fileno(), 0) as pages:
        pages[:1] = b"C"


def _makes_sockets(scratch: Path) -> None:
    directory = os.open(scratch, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(f"/proc/self/fd/{directory}/socket")  # the path itself may be too long
    finally:
        os.close(directory)


def _gives_away(scratch: Path) -> None:
    try:
        os.chown(scratch / "file", server_uids.FIRST, server_uids.FIRST)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a container without such numbers, which wrappers say
            raise


def _reason(error: OSError) -> str:
    """Without the name of a file that is none of the operator's."""
    return error.strerror or words(error)


def _way(path: Path) -> Iterator[Step]:
    """As it is written, with its links, and as it is after following them."""
    for end in dict.fromkeys((path.absolute(), path.resolve())):
        for each in (*reversed(end.parents), end):
            try:
                found = each.lstat()
            except (FileNotFoundError, NotADirectoryError):
                break
            yield Step(each, found.st_uid, found.st_gid, found.st_mode)


def _account() -> Account:
    ranges = (line.split() for line in Path("/proc/self/uid_map").read_text("ascii").splitlines())
    mapped = any(int(first) <= _NOBODY < int(first) + int(count) for first, _, count in ranges)
    return Account(os.geteuid(), os.getegid(), unmapped=not mapped)


def _name(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"
