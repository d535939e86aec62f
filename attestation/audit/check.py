"""Whether a log is whole, and as it was written."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from attestation.audit.entries import (
    EMPTY,
    LONGEST_LINE,
    Edge,
    Entry,
    Head,
    Outcome,
    WrongEntryError,
    edge_of,
    read_line,
)


class Result(Struct, frozen=True, kw_only=True):
    outcome: Outcome
    text: str
    head: Head | None
    """The last entry up to which nothing is wrong; None: there is not one."""
    cuts: tuple[int, ...] = ()
    """Sequence numbers of entries that say that an unfinished one was cut off before them."""
    absent: Head | None = None
    """The last entry of segments that are not among the files; None: the log is here from its first entry on."""
    compared: bool = True
    """False: the known head is in a segment that is not among the files."""


def verify(
    files: Sequence[Path], public_key: Ed25519PublicKey, known: Head | None = None
) -> Result:
    """Whether the log is whole and as it was written.

    The oldest segments may be missing: they were moved away, and the first one that is here says by its first entry
    where it goes on. Any other gap is an error.

    Args:
        files: the log's segments, the oldest first
        public_key: of its signer, kept where the log's owner cannot change it
        known: a head that was seen earlier; without one a cut-off end cannot be noticed
    """
    walk = _Walk(public_key, known)
    for file in files:
        try:
            with file.open("rb") as stream:
                walk.over(stream)
        except OSError as error:
            return walk.result(Outcome.UNREADABLE, f"{file} cannot be read: {error}")
        except WrongEntryError as error:
            place = f"{file.name}: " if len(files) > 1 else ""
            return walk.result(error.outcome, f"{place}{error}")
    try:
        walk.end()
    except WrongEntryError as error:
        return walk.result(error.outcome, str(error))
    return walk.result(Outcome.FINE, walk.summary())


class _Walk:
    """One reading from the first entry on, which ends at the first thing that is wrong."""

    def __init__(self, key: Ed25519PublicKey, known: Head | None) -> None:
        self._key = key
        self._known = known
        self._cuts: list[int] = []
        self._absent = EMPTY
        self._closed = False
        """The last entry closes its segment."""
        self._torn: int | None = None
        """The number of the unfinished line with which a file ended."""
        self.head = EMPTY

    def result(self, outcome: Outcome, text: str) -> Result:
        known, absent = self._known, self._absent
        return Result(
            outcome=outcome,
            text=text,
            head=self.head if self.head.sequence else None,
            cuts=tuple(self._cuts),
            absent=absent if absent.sequence else None,
            compared=known is None or known.sequence >= absent.sequence,
        )

    def summary(self) -> str:
        first, last = self._absent.sequence + 1, self.head.sequence
        which = f"{last} entries" if first == 1 else f"entries {first} to {last}"
        closed = ", and the last segment is closed" if self._closed else ""
        return f"{which}, all as they were written{closed}"

    def over(self, stream: BinaryIO) -> None:
        """Read one segment."""
        number = 0
        while line := stream.readline(LONGEST_LINE + 1):
            number += 1
            if self._torn is not None:
                raise WrongEntryError(*_torn(self._torn))
            if not line.endswith(b"\n") and len(line) <= LONGEST_LINE:
                self._torn = number
                return
            try:
                self._step(line)
            except WrongEntryError as error:
                raise WrongEntryError(error.outcome, f"line {number} {error}") from error

    def end(self) -> None:
        """There is no segment after the last one."""
        if self._known and self.head.sequence < self._known.sequence:
            lost = f"{self.head.sequence + 1} to {self._known.sequence}"
            raise WrongEntryError(
                Outcome.TRUNCATED, f"the end is missing: entries {lost} were known"
            )
        if self._torn is not None:
            raise WrongEntryError(*_torn(self._torn))

    def _step(self, line: bytes) -> None:
        entry, head = read_line(line, self._key)
        if self.head == EMPTY and edge_of(entry) is Edge.BEGUN:
            self._go_on_from(entry)
        expected = self.head.sequence + 1
        if entry.sequence > expected:
            missing = f"{expected} to {entry.sequence - 1}"
            raise WrongEntryError(
                Outcome.MISSING, f"is entry {entry.sequence}; missing before it: {missing}"
            )
        if entry.sequence < expected or entry.previous != self.head.hash:
            raise WrongEntryError(
                Outcome.ALTERED, f"is an entry {entry.sequence} that does not belong here"
            )
        self._compare(head)
        self.head, self._closed = head, edge_of(entry) is Edge.CLOSED
        if entry.cut:
            self._cuts.append(entry.sequence)

    def _go_on_from(self, entry: Entry) -> None:
        """The segments before this one are elsewhere; its signer says which entry was their last."""
        self.head = self._absent = Head(entry.sequence - 1, entry.previous)
        self._compare(self.head)

    def _compare(self, head: Head) -> None:
        if self._known and head.sequence == self._known.sequence and head != self._known:
            raise WrongEntryError(
                Outcome.REWRITTEN, f"is another entry {head.sequence} than the known one"
            )


def _torn(line: int) -> tuple[Outcome, str]:
    return (
        Outcome.TORN_END,
        f"line {line} is unfinished: a crash while it was written, or a cut",
    )
