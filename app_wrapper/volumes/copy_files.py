"""One volume's copies as files, `copies_dir/<uid>/`, and changing them so that no death leaves half a copy.

<number>/record   what the copy is of, and what its files were when it was made, in JSON
<number>/data/    the files
due-<generation>  this claim ended well and is not copied yet; one file each, as they are written without the lock
lock              locked by the process that makes, removes or restores copies of this volume
.new, .old        a copy that is being made, or removed

A directory gets its number when it is whole and on disk, and loses it before the first file of it is removed.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from app_wrapper.volumes import record, trees
from app_wrapper.volumes.copies import Between, Copy, NotCopiedError
from app_wrapper.volumes.trees import FileSeen, Tree
from standby import decode, durable
from standby.decode import UnreadableError
from standby.ids import Count, Generation
from standby.logs import EventLog

DATA: Final = record.DATA
MOST_REPLACED: Final = 1_000_000
"""Files of what a restore replaces; an operator waits for it."""
_RECORD: Final = "record"
_DUE: Final = "due-"
_LOCK: Final = "lock"
_NEW: Final = ".new"
_OLD: Final = ".old"
_PRIVATE: Final = 0o700
_PAUSE: Final = 0.05
_FREE: Final = 0.05
"""Of the file system, that a copy leaves free for sessions."""
log = EventLog(__name__)


class CopyRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `record` says; see `copies.Copy`."""

    generation: Count
    taken: Annotated[float, Meta(ge=0, le=1e12)]
    bytes: Count
    files: Annotated[list[FileSeen], Meta(max_length=trees.MOST_FILES)]
    """As they were in the volume; the copy's own have other inodes. None of what is more than is copied by itself."""
    restored: Count | None = None
    replaced: bool = False

    def shown(self, number: int) -> Copy:
        """As the contract's record of the copy with this number."""
        return Copy(
            number=number,
            generation=self.generation,
            taken=self.taken,
            bytes=self.bytes,
            restored=self.restored,
            replaced=self.replaced,
        )


def make_place(place: Path) -> None:
    """Make the directory of a volume's copies unless it is there; only its owner may look inside."""
    if not place.is_dir():
        place.parent.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        place.mkdir(mode=_PRIVATE, exist_ok=True)
        durable.sync(place.parent)


@contextlib.contextmanager
def locked(place: Path, patience: float = 0.0) -> Iterator[None]:
    """Nobody else changes the copies while the context lasts; `patience` in seconds.

    Raises:
        BlockingIOError: another process, or thread, has them locked for longer than that.
    """
    make_place(place)
    descriptor = os.open(place / _LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor, patience)
        yield
    finally:
        record.unlock(descriptor)


def add(place: Path, source: Path, tree: Tree, made: CopyRecord, between: Between) -> Copy:
    """Copy the directory; `between` is asked for the last time when all of it was read.

    Raises:
        NotCopiedError: there is no room, or it changed meanwhile.
        OSError: it cannot be read or written.
    """
    check_room(place, tree.bytes)
    fresh = place / _NEW
    remove(fresh)
    fresh.mkdir(mode=_PRIVATE)
    try:
        trees.copy(source, tree, fresh / DATA, between)
        after = trees.survey(source, most_files=MOST_REPLACED)
        between()
        _check_same(tree, after)
        durable.write(fresh / _RECORD, msgspec.json.encode(made))
        durable.sync(fresh)
    except Exception:
        remove(fresh)
        raise
    number = max(numbers(place), default=0) + 1
    fresh.rename(place / str(number))
    durable.sync(place)
    return made.shown(number)


def keep_only(place: Path, kept: Collection[int]) -> None:
    """Remove the copies with other numbers; one whose record cannot be read stays."""
    for number in records(place).keys() - set(kept):
        remove(place / _OLD)
        (place / str(number)).rename(place / _OLD)
    remove(place / _OLD)


def numbers(place: Path) -> list[int]:
    """Of the copies, in order."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(int(name) for name in os.listdir(place) if name.isdecimal())  # noqa: PTH208  # names are enough
    return []


def records(place: Path) -> dict[int, CopyRecord]:
    """By number, in order; a copy whose record cannot be read is none."""
    found = {}
    for number in numbers(place):
        try:
            found[number] = decode.json((place / str(number) / _RECORD).read_bytes(), CopyRecord)
        except (OSError, UnreadableError) as error:
            log.warning("copy_unreadable", place=str(place / str(number)), text=str(error))
    return found


def newest(place: Path) -> Copy | None:
    found = records(place)
    return found[max(found)].shown(max(found)) if found else None


def newest_files(place: Path) -> list[FileSeen] | None:
    """Of the volume, when the newest copy was made."""
    found = records(place)
    return found[max(found)].files if found else None


def mark_due(place: Path, generation: Generation) -> None:
    """A copy is due; remembered over a crash of this process."""
    make_place(place)
    (place / f"{_DUE}{generation}").touch(0o600)


def due(place: Path) -> list[int]:
    """Generations of claims that ended well and are not copied yet."""
    names = (each.name.removeprefix(_DUE) for each in place.glob(f"{_DUE}*"))
    return [int(name) for name in names if name.isdecimal()]


def no_more_due(place: Path, last: int) -> None:
    """Nothing is due of claims up to this one."""
    for generation in due(place):
        if generation <= last:
            (place / f"{_DUE}{generation}").unlink(missing_ok=True)


def check_room(place: Path, size: int) -> None:
    """Copies never take the room that sessions need.

    Raises:
        NotCopiedError: there is too little.
    """
    found = os.statvfs(place)
    left = found.f_bavail * found.f_frsize - size
    if left < _FREE * found.f_blocks * found.f_frsize:
        raise NotCopiedError(
            f"less than {_FREE:.0%} of the file system of {place.parent} would be free; make room there"
        )


def remove(path: Path) -> None:
    """A directory, or what a server has put in its place, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(path.lstat().st_mode):
            shutil.rmtree(path)
        else:
            path.unlink()


def _lock(descriptor: int, patience: float) -> None:
    end = time.monotonic() + patience
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
        time.sleep(_PAUSE)


def _check_same(tree: Tree, after: Tree) -> None:
    if after.files != tree.files:
        raise NotCopiedError("it changed while it was copied")
