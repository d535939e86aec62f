"""How much is in a directory, as far as it matters: counting ends as soon as there is more than there may be.

So a look at a directory costs no more than the bounds, whatever a server has put there. Links are not followed, files
are not opened, and what is removed meanwhile is not counted.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BLOCK: Final = 512
"""Bytes; what the kernel counts a file's room in, whatever the file system's blocks are."""
MOST_FILES: Final = 1000
"""In a directory of a server's own; a thousand are handed over in some milliseconds."""
MOST_BYTES: Final = 2**30
DEEPEST: Final = 32
"""Directories within each other; each is a descriptor while they are looked at."""


@dataclass(frozen=True, slots=True)
class Bounds:
    entries: int
    """Files, directories, links and all else with a name."""
    bytes: int
    """Of disk; holes in files take none."""


@dataclass(slots=True)
class Usage:
    """What was counted, which is not all there is if it is over the bounds."""

    entries: int = 0
    bytes: int = 0
    over: str | None = None
    """What there is too much of, in words."""


def look(directory: Path, bounds: Bounds) -> Usage:
    """Count what is in the directory, at most one entry more than the bounds allow.

    Raises:
        OSError: it cannot be looked at.
    """
    usage = Usage()
    descriptor = os.open(directory, _DIRECTORY)
    try:
        usage.over = next(_excesses(descriptor, bounds, usage, DEEPEST), None)
    finally:
        os.close(descriptor)
    return usage


def _excesses(descriptor: int, bounds: Bounds, usage: Usage, depth: int) -> Iterator[str]:
    """What goes over the bounds, as soon as it does."""
    with os.scandir(descriptor) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                usage.entries += 1
                usage.bytes += entry.stat(follow_symlinks=False).st_blocks * _BLOCK
            if usage.entries > bounds.entries:
                yield f"more than {bounds.entries} files"
            if usage.bytes > bounds.bytes:
                yield f"more than {bounds.bytes} bytes"
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.name, descriptor, bounds, usage, depth - 1)


def _below(name: str, parent: int, bounds: Bounds, usage: Usage, depth: int) -> Iterator[str]:
    if depth == 0:
        yield f"more than {DEEPEST} directories within each other"
        return
    try:
        descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
    except (FileNotFoundError, NotADirectoryError):  # it was removed or exchanged meanwhile
        return
    try:
        yield from _excesses(descriptor, bounds, usage, depth)
    finally:
        os.close(descriptor)
