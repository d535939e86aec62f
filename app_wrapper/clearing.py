"""Removes directories that servers have filled, however full and deep they are, in a thread of its own.

A directory that is put here is moved away in one step, so its name is free at once. It is removed entry after entry, in
one thread of low priority.

What is removed is read as a stream and never listed, so it takes no memory. A directory within a directory is moved up
and removed later, so depth takes no descriptors. Between two entries the work can be interrupted; what is left is
removed by the next wrapper with the same directory.

Names are looked up in directories that are open, without following links, so nobody who still has a directory open can
lead the removal elsewhere.
"""

import contextlib
import errno
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from standby.logs import EventLog

NICENESS: Final = 15
"""Below servers, which are below their wrapper."""
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_TO_ITS_OWNER: Final = 0o700
log = EventLog(__name__)


class Clearing:
    """Everything below `place` is garbage; it must be on the file system of what is put there."""

    def __init__(self, place: Path) -> None:
        """Also removes what an earlier wrapper left."""
        place.mkdir(mode=_OPEN_TO_ITS_OWNER, parents=True, exist_ok=True)
        self._place = place
        self._stopped = threading.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="clearing", initializer=_give_way)
        self._thread.submit(self._clear)

    def put(self, directory: Path) -> None:
        """Move the directory away and have it removed; nothing happens if it is not there.

        Raises:
            OSError: it cannot be moved.
        """
        with contextlib.suppress(FileNotFoundError):
            if os.geteuid() != 0:
                directory.chmod(_OPEN_TO_ITS_OWNER)
            directory.rename(self._place / secrets.token_hex(8))
            self._thread.submit(self._clear)

    def close(self) -> None:
        """Give the work up; does not wait for it."""
        self._stopped.set()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _clear(self) -> None:
        try:
            empty(self._place, self._stopped.is_set)
        except OSError as error:
            log.warning("clearing_failed", place=str(self._place), text=str(error))


def empty(place: Path, stopped: Callable[[], bool] = lambda: False) -> None:
    """Remove everything in the directory; looks whether it is to stop before each entry.

    Raises:
        OSError: something cannot be removed; as much as possible has been.
    """
    top = os.open(place, _DIRECTORY)
    try:
        while _passed(top, stopped):
            pass
    finally:
        os.close(top)


def _passed(top: int, stopped: Callable[[], bool]) -> bool:
    """Remove each entry once, or move what is in it up; whether there was any, and another pass is needed."""
    problem, removed = None, False
    with os.scandir(top) as entries:
        for entry in entries:
            if stopped():
                return False
            try:
                _remove(top, entry.name, stopped)
                removed = True
            except OSError as error:
                problem = error
    if problem is not None and not removed:
        raise problem
    return removed


def _remove(top: int, name: str, stopped: Callable[[], bool]) -> None:
    try:
        os.unlink(name, dir_fd=top)
    except IsADirectoryError:
        with _opened(name, top) as directory:
            _empty_upwards(directory, top, stopped)
        with (
            _unless_not_empty()
        ):  # it was given up half-way, or a process that is still there fills it
            os.rmdir(name, dir_fd=top)


def _empty_upwards(directory: int, top: int, stopped: Callable[[], bool]) -> None:
    """Remove what is in the directory; directories in it that are not empty are moved to the top."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if stopped():
                return
            try:
                os.unlink(entry.name, dir_fd=directory)
            except IsADirectoryError:
                _open_to_its_owner(entry.name, directory)
                os.rename(entry.name, secrets.token_hex(8), src_dir_fd=directory, dst_dir_fd=top)


@contextlib.contextmanager
def _opened(name: str, parent: int) -> Iterator[int]:
    _open_to_its_owner(name, parent)
    descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open_to_its_owner(name: str, parent: int) -> None:
    """Who is not root can empty or move a directory only with its mode's permission."""
    if os.geteuid() == 0:
        return
    descriptor = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        Path(f"/proc/self/fd/{descriptor}").chmod(_OPEN_TO_ITS_OWNER)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _unless_not_empty() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise


def _give_way() -> None:
    """Of the calling thread."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
