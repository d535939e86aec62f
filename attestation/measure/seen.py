"""What one look at files found besides their content: whether anything differs, and when something last changed.

A time here is a ctime, in nanoseconds of Unix time: the kernel sets it at each change of a file's content, name or
rights, and no program can set it but by setting the clock.
"""

import os
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import Final

from attestation.measure.errors import TooLargeError

MAX_FILES: Final = 100_000
"""Of one tree. Ten times an environment with all of this project's tools; somebody named the wrong directory."""
MTIME: Final = 3
CTIME: Final = 4
"""Their places in a key."""
_MAX_LINKS: Final = 40
"""The kernel follows no more on one path."""

Key = tuple[int, int, int, int, int]
"""Device, inode, size, time of modification, time of change: a file with the same ones has the same content."""
key_of: Final[Callable[[os.stat_result], Key]] = attrgetter(
    "st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns"
)


class Seen:
    """Filled in by those who look."""

    def __init__(self) -> None:
        self.changed = False
        """Something is not as it was at the look before."""
        self.newest = 0
        """The last change of anything that was looked at."""
        self._left = MAX_FILES

    def take(self, time: int) -> None:
        self.newest = max(self.newest, time)

    def next_tree(self) -> None:
        self._left = MAX_FILES

    def count(self, names: int, directory: str) -> None:
        """Raises TooLargeError if the tree has too many names."""
        self._left -= names
        if self._left < 0:
            raise TooLargeError(f"{directory}: the tree has more than {MAX_FILES} files")


def changed_at(path: str) -> int:
    """When what is at `path` last changed, a link itself and not what it leads to; 0 if nothing is there."""
    try:
        return os.lstat(path).st_ctime_ns
    except OSError:
        return 0


def links_changed_at(path: str) -> int:
    """When any link on the way to what `path` leads to last changed; 0 if there is none."""
    return max(map(changed_at, _links(path)), default=0)


def _links(path: str) -> Iterator[str]:
    todo, here, passed = path.split("/")[::-1], "", 0
    while todo and passed < _MAX_LINKS:
        part = todo.pop()
        if part in {"", "."}:
            continue
        if part == "..":
            here = here.rpartition("/")[0]
        elif (target := _target(f"{here}/{part}")) is None:
            here = f"{here}/{part}"
        else:
            yield f"{here}/{part}"
            passed += 1
            here = "" if target.startswith("/") else here
            todo += target.split("/")[::-1]


def _target(path: str) -> str | None:
    try:
        return str(Path(path).readlink())
    except OSError:
        return None
