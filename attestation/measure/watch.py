"""Trees that are looked at again and again: what they have in them, whether it differs, and when anything last changed.

Noticed is also what was put in place and taken away again between two looks, because it leaves its time: at the file,
at the link, at the directory. Of a tree's root these are: the file or directory, each link that leads to it, and where
nothing is, the directory that it would be in. Not noticed: a directory further up that was exchanged for another one
and put back, a mount over any of it that is gone again, and what only came and went where not even its directory was.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from attestation.measure.digests import DigestCache
from attestation.measure.directory import Directory
from attestation.measure.errors import IrregularFileError, UnreadableError
from attestation.measure.listing import Rules
from attestation.measure.manifest import Entry, Kind
from attestation.measure.seen import Seen, changed_at, key_of, links_changed_at
from attestation.measure.tree import Tree


class Watch:
    """Not for several threads at once."""

    def __init__(self, trees: Sequence[Tree], digests: DigestCache) -> None:
        self._roots = [_Root(tree, digests) for tree in trees]
        self._interrupted = True

    def look(self) -> Seen:
        """Look at everything; a first look, and one after a look that failed, finds it changed.

        Raises:
            MeasureError: something cannot be measured.
        """
        seen = Seen()
        seen.changed = self._interrupted
        self._interrupted = True
        for root in self._roots:
            seen.next_tree()
            root.look(seen)
        self._interrupted = False
        return seen

    def entries(self) -> Iterator[Entry]:
        """Everything that was found by the last look."""
        for root in self._roots:
            yield from root.entries()

    def newer(self, time: int) -> Iterator[str]:
        """Names of what had changed at this time or later when it was last looked at."""
        for root in self._roots:
            yield from root.newer(time)


class _Root:
    def __init__(self, tree: Tree, digests: DigestCache) -> None:
        self._tree = tree
        self._path = str(Path(tree.path))
        self._digests = digests
        self._omitted = [Entry(Kind.OMITTED, f"{tree.name}/{each}") for each in tree.omitted]
        self._found: Entry | Directory | None = None
        self._changed_at = 0
        """The root itself, as far as it is no directory, and links on the way to it."""

    def look(self, seen: Seen) -> None:
        path, before = self._path, self._found
        try:
            status = os.stat(path)  # noqa: PTH116  # as below it
        except (FileNotFoundError, NotADirectoryError):
            self._found = Entry(Kind.ABSENT, self._tree.name)
            own = changed_at(os.path.dirname(path))  # noqa: PTH120  # a text
        except OSError as error:
            raise UnreadableError(f"cannot measure {path}: {error.strerror}") from error
        else:
            self._found = self._at(status)
            own = status.st_ctime_ns if isinstance(self._found, Entry) else 0
        self._changed_at = max(own, links_changed_at(path))
        seen.take(self._changed_at)
        seen.changed |= self._found != before
        if isinstance(self._found, Directory):
            self._found.look(seen)

    def _at(self, status: os.stat_result) -> Entry | Directory:
        tree, path = self._tree, self._path
        if stat.S_ISREG(status.st_mode):
            digest = self._digests.digest(path, key_of(status))
            return Entry(Kind.FILE, tree.name, digest)
        if not stat.S_ISDIR(status.st_mode):
            raise IrregularFileError(f"{path} is no file or directory; take it away")
        if isinstance(self._found, Directory):
            return self._found
        omitted = frozenset(f"{path}/{each}" for each in tree.omitted)
        return Directory(path, tree.name, Rules(self._digests, tree.bytecode, omitted))

    def entries(self) -> Iterator[Entry]:
        yield from self._omitted
        if isinstance(self._found, Entry):
            yield self._found
        elif self._found is not None:
            yield from self._found.entries()

    def newer(self, time: int) -> Iterator[str]:
        if self._changed_at >= time:
            yield self._tree.name
        if isinstance(self._found, Directory):
            yield from self._found.newer(time)
