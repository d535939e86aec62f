"""Whether servers' own uids (`server_uids`) would work, and what is handed over to servers that have one.

A server with such a uid reaches only what strangers reach. So before any gets one it is looked at whether that is
enough: all or none, since a server that cannot load its libraries, or reach the volumes, would fail its user at LOGIN.
Modes are looked at, not access control lists.

What is handed over is opened first and then looked at, without following links, so nothing can be exchanged in between.
A hard link could be another file's second name: protected_hardlinks keeps servers from making such a link to a file
that they may not write, but a machine may have that switched off. So a file with several names is never handed over,
and one that is neither root's nor the former server's is not either.

Not promised: that a uid ends with its server in every way. Hardened servers leave nothing; after others the wrapper
ends and removes what is cheap to find, before the slot's next server has the uid (`leftovers`).
"""

import contextlib
import os
import pwd
import stat
import sys
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from app_wrapper.server_uids import ROOT, ServerUids
from standby import processes
from standby.hardening.libraries import library_places
from standby.logs import EventLog
from standby.processes import Capability

_PRIVATE: Final = 0o700
_DEEPEST: Final = 32
"""Directories within each other that are handed over; each is a descriptor meanwhile."""
_POWERS: Final = (
    Capability.CHOWN,
    Capability.DAC_OVERRIDE,
    Capability.FOWNER,
    Capability.KILL,
    Capability.SETGID,
    Capability.SETUID,
)
"""Without KILL the wrapper could not end its servers, and nor could its death."""
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC
log = EventLog(__name__)


class NotHandedOverError(OSError):
    """There is something that may not be a server's; the text says what, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What servers of a wrapper must be able to reach; what is not there yet is not looked at."""

    volumes: Path
    slots: Path
    named: tuple[Path, ...] = ()
    """By its variables: files to be read, directories to be passed."""
    libraries: tuple[Path, ...] = ()
    """Files to be read, directories to be listed, too."""


def for_servers(first: int, most: int, needs: Needs) -> ServerUids | None:
    """Uids for up to `most` slots; None without root, and, with a warning that says why, where they would not work."""
    if os.geteuid() != ROOT:
        return None
    why = obstacle(first, most, needs)
    if why is None:
        return ServerUids(first)
    log.warning("servers_get_no_uids", text=f"{why}; until then all servers are root")
    return None


def obstacle(first: int, most: int, needs: Needs) -> str | None:
    """Why servers cannot have uids of their own, or None; blocks, as it looks at hundreds of files."""
    found = chain(
        _lacking(processes.capabilities()),
        _unmapped(first, first + most - 1),
        _taken(first, first + most - 1),
        _foreign(needs.volumes),
        _closed(needs),
    )
    return next(found, None)


def closed(path: Path, *, listed: bool = False) -> Path | None:
    """The first directory on the way to the path, or the path itself, that is closed to strangers; None: nothing.

    Strangers must be able to pass through directories, to list the last one if it is `listed`, and to read a file.
    """
    for way in dict.fromkeys((path.absolute(), path.resolve())):
        for each in (*reversed(way.parents), way):
            try:
                mode = each.stat().st_mode
            except (FileNotFoundError, NotADirectoryError):
                break
            read = stat.S_IROTH if each == way and (listed or not stat.S_ISDIR(mode)) else 0
            needed = read | (stat.S_IXOTH if stat.S_ISDIR(mode) else 0)
            if mode & needed != needed:
                return each
    return None


def libraries() -> tuple[Path, ...]:
    """Where Python programs find what they load, and each package that is installed there."""
    prefixes = tuple({f"{sys.prefix}/", f"{sys.base_prefix}/"})
    installed = (Path(each) for each in sys.path if each.startswith(prefixes))
    packages = chain.from_iterable(each.iterdir() for each in installed if each.is_dir())
    return (*library_places(), Path(sys.prefix), *packages)


def paths_in(values: Iterable[str]) -> tuple[Path, ...]:
    """Those of the values, an environment's for instance, that are paths of something that exists."""
    absolute = (Path(each) for each in values if each.startswith("/"))
    return tuple(each for each in absolute if each.exists())


def hand_over(directory: Path, owner: int, *, former: int = ROOT) -> None:
    """Give the directory, and all files and directories in it, to `owner` alone, with the gid of that number.

    Only root's and those of `former` are given. Modes become private, and keep of a file whether its owner executes
    it. Links, sockets and the like are left as they are: who owns the directory can remove them.

    Raises:
        NotHandedOverError: something in it may not be given; a part may have been.
        OSError: it cannot be done here.
    """
    with contextlib.closing(_all_in(directory, frozenset({ROOT, former, owner}))) as found:
        for descriptor in found:
            seen = os.fstat(descriptor)
            if (seen.st_uid, seen.st_gid) != (owner, owner):
                os.fchown(descriptor, owner, owner)
            mode = _private(seen.st_mode)
            if stat.S_IMODE(seen.st_mode) != mode:
                os.fchmod(descriptor, mode)


def check(directory: Path) -> None:
    """Whether all that is in the directory may be handed over, as root's; changes nothing.

    Raises:
        As `hand_over`.
    """
    with contextlib.closing(_all_in(directory, frozenset({ROOT}))) as found:
        for _ in found:
            pass


def _all_in(directory: Path, owners: frozenset[int]) -> Generator[int, None, None]:
    """The directory and each file and directory in it, open, from the top, after a look at whose it is."""
    descriptor = os.open(directory, _DIRECTORY)
    try:
        yield from _tree(descriptor, directory, owners, _DEEPEST)
    finally:
        os.close(descriptor)


def _tree(descriptor: int, where: Path, owners: frozenset[int], depth: int) -> Iterator[int]:
    _look(descriptor, where, owners)
    yield descriptor
    with os.scandir(descriptor) as listed:
        entries = [(e.name, e.is_dir(follow_symlinks=False)) for e in listed if not _other(e)]
    for name, is_directory in entries:
        if is_directory and depth == 0:
            raise NotHandedOverError(f"{str(where)!a} is too deep; a server's files lie flatter")
        child = os.open(name, _DIRECTORY if is_directory else _FILE, dir_fd=descriptor)
        try:
            if is_directory:
                yield from _tree(child, where / name, owners, depth - 1)
            else:
                _look(child, where / name, owners)
                yield child
        finally:
            os.close(child)


def _other(entry: "os.DirEntry[str]") -> bool:
    """Neither a file nor a directory."""
    return not (entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False))


def _look(descriptor: int, where: Path, owners: frozenset[int]) -> None:
    found = os.fstat(descriptor)
    if not stat.S_ISDIR(found.st_mode) and found.st_nlink > 1:
        raise NotHandedOverError(
            f"{str(where)!a} has another name (a hard link), so it may be another user's file; copy or remove it"
        )
    if found.st_uid not in owners:
        raise NotHandedOverError(
            f"{str(where)!a} belongs to uid {found.st_uid}, neither to root nor to the server before; "
            "if it is this user's, give it to root"
        )


def _private(mode: int) -> int:
    if stat.S_ISDIR(mode):
        return _PRIVATE
    return stat.S_IRUSR | stat.S_IWUSR | (mode & stat.S_IXUSR)


def _lacking(held: int) -> Iterator[str]:
    lacking = [each.name for each in _POWERS if not held >> each & 1]
    if lacking:
        yield f"the wrapper is root without {', '.join(lacking)}"


def _unmapped(first: int, last: int) -> Iterator[str]:
    """In a container's own space of uids, those it has not been given cannot be used."""
    for kind in ("uid", "gid"):
        ranges = Path(f"/proc/self/{kind}_map").read_text("ascii").splitlines()
        if not any(_within(line, first, last) for line in ranges):
            yield f"{kind}s from {first} to {last} are not there in this container; set APP_WRAPPER_FIRST_SERVER_UID"


def _within(line: str, first: int, last: int) -> bool:
    """Of a range in the kernel's words: its first number inside, outside, and how many there are."""
    start, _, count = map(int, line.split())
    return start <= first and last < start + count


def _taken(first: int, last: int) -> Iterator[str]:
    for account in pwd.getpwall():
        if first <= account.pw_uid <= last:
            yield f"uid {account.pw_uid} is the account {account.pw_name}; set APP_WRAPPER_FIRST_SERVER_UID"


def _foreign(volumes: Path) -> Iterator[str]:
    """Who owns the directory could exchange what lies in it while it is handed over."""
    if volumes.exists():
        found = volumes.stat()
        if found.st_uid != ROOT or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            yield f"{volumes} is not root's alone (uid {found.st_uid}, mode {_mode(found)}), so others could change it"


def _closed(needs: Needs) -> Iterator[str]:
    passed = ((each, False) for each in (needs.volumes, needs.slots, *needs.named))
    for wanted, listed in chain(passed, ((each, True) for each in needs.libraries)):
        found = closed(wanted, listed=listed)
        if found is not None:
            yield f"{found} (mode {_mode(found.stat())}) is closed to other accounts, and servers need {wanted}"


def _mode(found: os.stat_result) -> str:
    return f"{stat.S_IMODE(found.st_mode):04o}"
