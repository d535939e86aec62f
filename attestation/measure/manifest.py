"""What was measured, entry by entry, and the number that stands for all of it.

Version 1 hashes, with SHA-256, these bytes: the line `standby measurement 1`, then for each entry its kind, its name
and its value, each in UTF-8 and ended by a zero byte. Entries are sorted by kind and name, and no two have the same.
None of these texts can have a zero byte, so two different manifests are never the same bytes. Whatever is in an order
has its place in the order as name; nothing else is in any.
"""

import hashlib
from collections.abc import Iterable
from enum import StrEnum
from itertools import pairwise
from typing import Final

from msgspec import Struct

from attestation.measure.errors import BadLaunchError

VERSION: Final = 1
_HEADING: Final = f"standby measurement {VERSION}\n".encode()


class Kind(StrEnum):
    ARGUMENT = "argument"
    """Of the command; its name is its place, beginning with 0."""
    VARIABLE = "variable"
    ANY_VALUE = "any_value"
    """Variables with such a name may have any value, or be missing."""
    ALLOWED_PATH = "allowed_path"
    FILE = "file"
    """Its value is the SHA-256 of its content."""
    ABSENT = "absent"
    """Nothing is where something would be used."""
    OMITTED = "omitted"
    """A directory whose files may be anything."""


class Entry(Struct, frozen=True, array_like=True, gc=False):
    kind: Kind
    name: str
    value: str = ""


class Manifest(Struct, frozen=True):
    """All entries, in any order."""

    entries: tuple[Entry, ...]
    version: int = VERSION


class Difference(Struct, frozen=True):
    """One entry of which two manifests do not say the same."""

    kind: Kind
    name: str
    before: str | None
    """None: the first one has no such entry."""
    after: str | None

    @property
    def text(self) -> str:
        what = f"{self.kind} {self.name}"
        if self.before is None:
            return f"{what}: new" + (f", {self.after}" if self.after else "")
        if self.after is None:
            return f"{what}: gone"
        return f"{what}: was {self.before}, is {self.after}"


def measure(manifest: Manifest) -> str:
    """The measurement: 64 hex digits in lower case.

    Raises:
        BadLaunchError: the manifest is of another version, or not unambiguous.
    """
    return hashlib.sha256(canonical(manifest)).hexdigest()


def canonical(manifest: Manifest) -> bytes:
    """The bytes that are hashed.

    Raises:
        BadLaunchError: the manifest is of another version, or not unambiguous.
    """
    if manifest.version != VERSION:
        raise BadLaunchError(
            f"a manifest of version {manifest.version}, and this program knows version {VERSION}"
        )
    rows = sorted((each.kind.value, each.name, each.value) for each in manifest.entries)
    for one, other in pairwise(rows):
        if one[:2] == other[:2]:
            raise BadLaunchError(f"{one[0]} {one[1]!r} is named twice")
    try:
        content = "".join([f"{kind}\0{name}\0{value}\0" for kind, name, value in rows]).encode()
    except UnicodeEncodeError as error:
        text = error.object[max(0, error.start - 40) : error.end].replace("\0", " ")
        raise BadLaunchError(f"a name or value that is not UTF-8: {text!r}") from error
    if content.count(b"\0") != 3 * len(rows):
        raise BadLaunchError("a zero byte in a name or a value")
    return _HEADING + content


def explain(one: Manifest, other: Manifest) -> tuple[Difference, ...]:
    """What differs from `one` to `other`; empty exactly if both measure the same."""
    before, after = _values(one.entries), _values(other.entries)
    keys = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    return tuple(
        Difference(kind, name, before.get((kind, name)), after.get((kind, name)))
        for kind, name in keys
    )


def _values(entries: Iterable[Entry]) -> dict[tuple[Kind, str], str]:
    return {(each.kind, each.name): each.value for each in entries}
