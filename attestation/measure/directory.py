"""One directory of a tree, remembered, so that looking again costs one `lstat` for each file and no listing.

Names are read again when the directory's own times say that they may differ, or when it had changed less than two
seconds before it was listed (see `digests.SETTLED`); a file is, when its key says that it may. A file cannot become
something else without its directory changing.

A directory's change counts as a change of what is measured, because something may have been put into it and taken away
again. One does not: that `__pycache__` came or went where caches are not read, since any Python that runs from the same
files makes it. So who makes a `__pycache__` where there was none hides that a file came and went just then.
"""

import os
import stat
from collections.abc import Iterator

from attestation.measure import listing
from attestation.measure.errors import ChangedError, IrregularFileError, UnreadableError
from attestation.measure.listing import Listing, Rules
from attestation.measure.manifest import Entry, Kind
from attestation.measure.seen import CTIME, Key, Seen, key_of, links_changed_at
from attestation.measure.tree import BYTECODE

Id = tuple[int, int]
"""Device and inode."""


class Directory:
    def __init__(self, path: str, name: str, rules: Rules) -> None:
        self._path = path
        self._name = name
        self._rules = rules
        self._listing: Listing | None = None
        self._listed_at = 0
        """When it last changed, so far as that counts."""
        self._files: dict[str, tuple[Key, Entry]] = {}
        """By their paths, in the order of the listing."""
        self._keys: list[Key] = []
        """Theirs, if all are known for sure; else nothing."""
        self._newest = 0
        self._linked: dict[str, Entry | Directory] = {}
        self._below: dict[str, Directory] = {}

    def look(self, seen: Seen, above: tuple[Id, ...] = ()) -> None:
        """Look at it and at all below; `above` are the directories that it was reached through.

        Raises:
            MeasureError: something cannot be measured.
        """
        status = _status(self._path)
        here = status.st_dev, status.st_ino
        if here in above:
            text = f"cannot measure {self._path}: the link leads to a directory above it"
            raise UnreadableError(text)
        found = self._listing
        if found is None or not found.settled or found.key != key_of(status):
            found = self._list(key_of(status), seen)
        seen.count(len(found.names), self._path)
        self._look_at_files(found.files, seen)
        seen.take(self._newest)
        deeper = *above, here
        for name in found.links:
            self._look_at_link(name, seen, deeper)
        for below in self._below.values():
            below.look(seen, deeper)

    def entries(self) -> Iterator[Entry]:
        yield from (entry for _, entry in self._files.values())
        yield from (each for each in self._linked.values() if isinstance(each, Entry))
        for below in self._directories():
            yield from below.entries()

    def newer(self, time: int) -> Iterator[str]:
        """Names of what changed at this time or later."""
        if self._listed_at >= time:
            yield self._name
        yield from (entry.name for key, entry in self._files.values() if key[CTIME] >= time)
        for name, linked in self._linked.items():
            path = f"{self._path}/{name}"
            if links_changed_at(path) >= time or (
                isinstance(linked, Entry) and _target_changed_at(path) >= time
            ):
                yield f"{self._name}/{name}"
        for below in self._directories():
            yield from below.newer(time)

    def _directories(self) -> Iterator["Directory"]:
        yield from (each for each in self._linked.values() if isinstance(each, Directory))
        yield from self._below.values()

    def _list(self, key: Key, seen: Seen) -> Listing:
        before, fresh = self._listing, listing.read(self._path, key, self._rules)
        if before is None or not self._means_nothing(before, fresh):
            self._listed_at = key[CTIME]
        if before is None or not before.same_files(fresh):
            seen.changed = True
            self._linked = {
                name: each for name, each in self._linked.items() if name in fresh.links
            }
            self._below = {
                name: self._below.get(name) or self._child(name) for name in fresh.directories
            }
        self._keys = []
        self._listing = fresh
        return fresh

    def _means_nothing(self, before: Listing, fresh: Listing) -> bool:
        if before.names == fresh.names:
            return before.key == fresh.key
        return not self._rules.bytecode and before.names ^ fresh.names == {BYTECODE}

    def _look_at_files(self, files: list[str], seen: Seen) -> None:
        try:
            keys = [key_of(status) for status in map(os.lstat, files)]
        except FileNotFoundError as error:
            raise ChangedError(f"{error.filename} is gone; measure again") from error
        except OSError as error:
            raise UnreadableError(f"cannot measure {error.filename}: {error.strerror}") from error
        if not files or keys != self._keys:
            self._take(dict(zip(files, keys, strict=True)), seen)

    def _take(self, keys: dict[str, Key], seen: Seen) -> None:
        digests, before = self._rules.digests, self._files
        self._files = {
            path: (key, Entry(Kind.FILE, self._inside(path), digests.digest(path, key)))
            for path, key in keys.items()
        }
        seen.changed |= _entries(before) != _entries(self._files)
        settled = all(digests.known(key) for key in keys.values())
        self._keys = [*keys.values()] if settled else []
        self._newest = max([self._listed_at, *(key[CTIME] for key in keys.values())])

    def _look_at_link(self, name: str, seen: Seen, above: tuple[Id, ...]) -> None:
        """What it leads to, and when any link on the way there changed."""
        path, before = f"{self._path}/{name}", self._linked.get(name)
        now: Entry | Directory
        try:
            status = os.stat(path)  # noqa: PTH116  # many
        except (FileNotFoundError, NotADirectoryError):
            now = Entry(Kind.ABSENT, self._inside(path))
        except OSError as error:  # ELOOP: the link leads to itself
            raise UnreadableError(f"cannot measure {path}: {error.strerror}") from error
        else:
            now = self._led_to(status, name, seen)
        if isinstance(now, Directory):
            now.look(seen, above)
        seen.changed |= now != before
        seen.take(links_changed_at(path))
        self._linked[name] = now

    def _led_to(self, status: os.stat_result, name: str, seen: Seen) -> "Entry | Directory":
        path, before = f"{self._path}/{name}", self._linked.get(name)
        if stat.S_ISREG(status.st_mode):
            seen.take(status.st_ctime_ns)
            digest = self._rules.digests.digest(path, key_of(status))
            return Entry(Kind.FILE, self._inside(path), digest)
        if not stat.S_ISDIR(status.st_mode):
            raise IrregularFileError(f"{path} is no file or directory; take it away")
        return before if isinstance(before, Directory) else self._child(name)

    def _child(self, name: str) -> "Directory":
        return Directory(f"{self._path}/{name}", f"{self._name}/{name}", self._rules)

    def _inside(self, path: str) -> str:
        return self._name + path[len(self._path) :]


def _entries(files: dict[str, tuple[Key, Entry]]) -> list[Entry]:
    return [entry for _, entry in files.values()]


def _target_changed_at(path: str) -> int:
    try:
        return os.stat(path).st_ctime_ns  # noqa: PTH116  # many
    except OSError:
        return 0


def _status(path: str) -> os.stat_result:
    try:
        return os.stat(path)  # noqa: PTH116  # many
    except FileNotFoundError as error:
        raise ChangedError(f"{path} is gone; measure again") from error
    except OSError as error:
        raise UnreadableError(f"cannot measure {path}: {error.strerror}") from error
