"""What a directory has in it, sorted by what is done with it."""

import os
from dataclasses import dataclass, field

from attestation.measure.digests import DigestCache
from attestation.measure.errors import IrregularFileError, UnreadableError
from attestation.measure.seen import Key
from attestation.measure.tree import BYTECODE


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for all directories of a tree."""

    digests: DigestCache
    bytecode: bool
    omitted: frozenset[str]
    """Paths of directories."""

    def wanted(self, directory: os.DirEntry[str]) -> bool:
        if directory.name == BYTECODE and not self.bytecode:
            return False
        return directory.path not in self.omitted


@dataclass(frozen=True, slots=True)
class Listing:
    key: Key
    """Of the directory, before it was listed."""
    settled: bool
    """While the directory has this key, it has these names."""
    names: frozenset[str]
    files: list[str] = field(default_factory=list)
    """Paths of regular files."""
    links: list[str] = field(default_factory=list)
    """Their names."""
    directories: list[str] = field(default_factory=list)
    """Names of those that are measured."""

    def same_files(self, other: "Listing") -> bool:
        mine = self.files, self.links, self.directories
        return mine == (other.files, other.links, other.directories)


def read(path: str, key: Key, rules: Rules) -> Listing:
    """The listing of a directory that has this key.

    Raises:
        UnreadableError: it cannot be read.
        IrregularFileError: something in it cannot be measured.
    """
    settled = rules.digests.settled(key)
    try:
        with os.scandir(path) as scan:
            children = sorted(scan, key=lambda child: child.name)
        listing = Listing(key, settled, frozenset(child.name for child in children))
        for child in children:
            _sort(child, listing, rules)
    except OSError as error:
        raise UnreadableError(f"cannot measure {path}: {error.strerror}") from error
    return listing


def _sort(child: os.DirEntry[str], listing: Listing, rules: Rules) -> None:
    if child.is_symlink():
        if rules.wanted(child) or not child.is_dir():
            listing.links.append(child.name)
    elif child.is_file():
        listing.files.append(child.path)
    elif not child.is_dir():
        raise IrregularFileError(f"{child.path} is no file or directory; take it away")
    elif rules.wanted(child):
        listing.directories.append(child.name)
