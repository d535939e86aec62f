"""What lies in a volume's directory, and copying it: files and directories, by part, without following links.

A server has written these files, so nothing about them is taken for granted: a link, a socket, or a file with two names
(which may be another user's) is not copied and is named; what is more, larger or deeper than the bounds is an error
before anything is written.

Copying a part of a file shares its blocks where the file system can do that (the kernel's copy_file_range does so on
XFS and Btrfs), and then costs next to nothing. Elsewhere each part is on disk before the next one begins: so a large
copy never has more than one part that other processes' own writes have to wait for.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct

from standby import durable
from standby.ids import Count
from standby.text import printable

MOST_FILES: Final = 1000
"""Files and directories."""
MOST_BYTES: Final = 4 * 2**30
"""Of all files together, holes included: four times the largest file that a server can write."""
DEEPEST: Final = 32
"""Directories within each other; each is a descriptor meanwhile."""
PART: Final = 2 * 2**20
"""Bytes that are copied at once; some milliseconds of a disk."""
_LONGEST_NAME: Final = 4096 * 4
_LARGEST: Final = 2**63 - 1
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SOURCE: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC
_TARGET: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PRIVATE: Final = 0o700
_ELSEWHERE: Final = {errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS}
"""Why the kernel may refuse copy_file_range for two files that can be copied all the same."""

Between = Callable[[], None]
"""Called between two parts; it may wait, and may raise what ends the copying."""


class OverBoundsError(OSError):
    """There is more than is copied; the text says what."""


class FileSeen(Struct, frozen=True):
    """One file, by what changes when it is written."""

    name: Annotated[str, Meta(max_length=_LONGEST_NAME)]
    """Its path below the directory; printable, so that every file can be named."""
    size: Count
    mtime_ns: Annotated[int, Meta(ge=-_LARGEST, le=_LARGEST)] = 0
    inode: Annotated[int, Meta(ge=0, le=_LARGEST)] = 0
    """Both 0 of an empty file: a journal that is empty again is as it was."""


@dataclass(slots=True)
class Tree:
    """A directory's contents, as they were seen."""

    files: list[FileSeen] = field(default_factory=list)
    directories: list[str] = field(default_factory=list)
    """Each after the one that it is in."""
    skipped: list[str] = field(default_factory=list)
    """What is not copied."""
    bytes: int = 0
    """Of all files together; 0: there is nothing that would be missed."""

    @property
    def entries(self) -> int:
        return len(self.files) + len(self.directories) + len(self.skipped)


def survey(directory: Path, *, most_files: int = MOST_FILES, most_bytes: int = MOST_BYTES) -> Tree:
    """Look at all that is in the directory; nothing is opened but directories.

    Raises:
        OverBoundsError: there is more than the bounds allow.
        OSError: it cannot be looked at.
    """
    tree = Tree()
    with _opened(directory) as descriptor:
        for _ in _look(descriptor, "", tree, DEEPEST):
            if tree.entries > most_files:
                raise OverBoundsError(errno.EFBIG, f"it has more than {most_files} files")
            if tree.bytes > most_bytes:
                raise OverBoundsError(errno.EFBIG, f"it has more than {most_bytes} bytes")
    tree.files.sort(key=lambda each: each.name)
    return tree


def copy(source: Path, tree: Tree, target: Path, between: Between) -> None:
    """Make the directory `target` with what was seen in `source`; on disk when this returns.

    Files are the calling process's then, and private. A file that became shorter meanwhile is as short in the copy:
    who needs to know looks at the source again.

    Raises:
        OSError: it cannot be read or written, and a part of it may have been.
    """
    target.mkdir(mode=_PRIVATE)
    for name in tree.directories:
        (target / name).mkdir(mode=_PRIVATE)
    with _opened(source) as descriptor:
        for each in tree.files:
            _copy_file(descriptor, each, target, between)
    for name in reversed(tree.directories):
        durable.sync(target / name)
    durable.sync(target)


def equal(one: Path, other: Path, tree: Tree) -> bool:
    """Whether the files of the tree, which are in both directories, have the same contents in both.

    Raises:
        OSError: they cannot be read.
    """
    return all(_digest(one / each.name) == _digest(other / each.name) for each in tree.files)


def _digest(file: Path) -> bytes:
    with open(os.open(file, _SOURCE), "rb") as opened:  # noqa: PTH123  # an open descriptor
        return hashlib.file_digest(opened, "sha256").digest()


def _look(descriptor: int, where: str, tree: Tree, depth: int) -> Iterator[None]:
    """Note what is in an open directory; yields after each entry."""
    if depth == 0:
        raise OverBoundsError(
            errno.EFBIG, f"it has more than {DEEPEST} directories within each other"
        )
    with os.scandir(descriptor) as entries:
        for entry in entries:
            name = f"{where}{entry.name}"
            found = entry.stat(follow_symlinks=False)
            if not name.isprintable():
                tree.skipped.append(printable(name, _LONGEST_NAME))
            elif stat.S_ISDIR(found.st_mode):
                tree.directories.append(name)
                yield
                child = os.open(entry.name, _DIRECTORY, dir_fd=descriptor)
                try:
                    yield from _look(child, f"{name}/", tree, depth - 1)
                finally:
                    os.close(child)
            elif _is_plain(found):
                tree.files.append(_seen(name, found))
                tree.bytes += found.st_size
            else:
                tree.skipped.append(name)
            yield


def _is_plain(found: os.stat_result) -> bool:
    """A file with one name, so it is this user's."""
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def _seen(name: str, found: os.stat_result) -> FileSeen:
    if found.st_size == 0:
        return FileSeen(name, 0)
    return FileSeen(name, found.st_size, found.st_mtime_ns, found.st_ino & _LARGEST)


def _copy_file(directory: int, seen: FileSeen, target: Path, between: Between) -> None:
    source = os.open(seen.name, _SOURCE, dir_fd=directory)
    try:
        found = os.fstat(source)
        if not _is_plain(found):
            raise OSError(errno.ESTALE, "a file was exchanged meanwhile", seen.name)
        mode = stat.S_IRUSR | stat.S_IWUSR | (found.st_mode & stat.S_IXUSR)
        copied = os.open(target / seen.name, _TARGET, mode)
        try:
            _copy_parts(source, copied, seen.size, between)
        finally:
            os.close(copied)
    finally:
        os.close(source)


def _copy_parts(source: int, target: int, size: int, between: Between) -> None:
    done = 0
    while done < size:
        part = _copy_part(source, target, min(PART, size - done))
        if part == 0:
            break
        done += part
        os.fsync(target)
        between()
    if done == 0:
        os.fsync(target)


def _copy_part(source: int, target: int, size: int) -> int:
    """Copy from where the files stand; returns how many bytes, 0 at the end of the source."""
    try:
        return os.copy_file_range(source, target, size)
    except OSError as error:
        if error.errno not in _ELSEWHERE:
            raise
    return os.sendfile(target, source, None, size)


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    descriptor = os.open(directory, _DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
