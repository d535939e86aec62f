"""The files below a directory, by names that do not say where the directory is.

A link counts as what it leads to: its content as a file's, its directory's files below its own name. That is how a
program that reads through it sees it, and a switched link is a difference in what is read. A link that leads nowhere is
measured as absent. Directories without a file are nothing: Python imports nothing from them.
"""

import os
import stat
from pathlib import Path
from typing import Final

from msgspec import Struct

from attestation.measure.digests import DigestCache
from attestation.measure.errors import IrregularFileError, TooLargeError, UnreadableError
from attestation.measure.manifest import Entry, Kind

MAX_FILES: Final = 100_000
"""Of one tree. Ten times an environment with all of this project's tools; somebody named the wrong directory."""
BYTECODE: Final = "__pycache__"

_Id = tuple[int, int]
"""Device and inode."""


class Tree(Struct, frozen=True, kw_only=True):
    """A file, or a directory with all below it, or a place where either could be."""

    name: str
    """What stands for `path` in the measurement."""
    path: str
    omitted: tuple[str, ...] = ()
    """Directories right below it whose files are not measured; the measurement says so."""
    bytecode: bool = True
    """Whether directories named `__pycache__` are read by the launch, and so are measured."""


def entries(tree: Tree, digests: DigestCache) -> list[Entry]:
    """Everything in the tree; a file that `digests` knows is only looked at.

    Raises:
        MeasureError: something in it cannot be measured.
    """
    found = [Entry(Kind.OMITTED, f"{tree.name}/{each}") for each in tree.omitted]
    root = Path(tree.path)
    try:
        status = root.stat()
    except (FileNotFoundError, NotADirectoryError):
        return [*found, Entry(Kind.ABSENT, tree.name)]
    except OSError as error:
        raise UnreadableError(f"cannot measure {tree.path}: {error.strerror}") from error
    if stat.S_ISREG(status.st_mode):
        return [*found, Entry(Kind.FILE, tree.name, digests.digest(tree.path, status))]
    omitted = {str(root / each) for each in tree.omitted}
    walk = _Walk(digests, omitted, bytecode=tree.bytecode)
    walk.take(str(root), tree.name, ((status.st_dev, status.st_ino),))
    return found + walk.found


class _Walk:
    def __init__(self, digests: DigestCache, omitted: set[str], *, bytecode: bool) -> None:
        self.found: list[Entry] = []
        self._digests = digests
        self._omitted = omitted
        self._bytecode = bytecode

    def take(self, directory: str, name: str, above: tuple[_Id, ...]) -> None:
        """Find what is below a directory; `above` has it and those that it was reached through."""
        try:
            with os.scandir(directory) as scan:
                children = [*scan]
        except OSError as error:
            raise UnreadableError(f"cannot measure {directory}: {error.strerror}") from error
        if len(self.found) + len(children) > MAX_FILES:
            raise TooLargeError(f"{directory}: the tree has more than {MAX_FILES} files")
        for child in children:
            inside = f"{name}/{child.name}"
            status = _status(child)
            if status is None:
                self.found.append(Entry(Kind.ABSENT, inside))
            elif stat.S_ISREG(status.st_mode):
                digest = self._digests.digest(child.path, status)
                self.found.append(Entry(Kind.FILE, inside, digest))
            elif not stat.S_ISDIR(status.st_mode):
                raise IrregularFileError(f"{child.path} is no file or directory; take it away")
            elif self._wanted(child):
                self.take(child.path, inside, _deeper(above, child.path, status))

    def _wanted(self, directory: os.DirEntry[str]) -> bool:
        if directory.name == BYTECODE and not self._bytecode:
            return False
        return directory.path not in self._omitted


def _status(child: os.DirEntry[str]) -> os.stat_result | None:
    """What the entry leads to; None if that is nothing."""
    try:
        return child.stat()
    except FileNotFoundError:
        return None
    except OSError as error:  # ELOOP: the link leads to itself
        raise UnreadableError(f"cannot measure {child.path}: {error.strerror}") from error


def _deeper(above: tuple[_Id, ...], path: str, status: os.stat_result) -> tuple[_Id, ...]:
    here = status.st_dev, status.st_ino
    if here in above:
        raise UnreadableError(f"cannot measure {path}: the link leads to a directory above it")
    return *above, here
