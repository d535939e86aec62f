"""Whether a log is whole, and as it was written."""

from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from attestation.audit.entries import (
    EMPTY,
    LONGEST_LINE,
    Head,
    Outcome,
    WrongEntryError,
    read_line,
)


class Result(Struct, frozen=True, kw_only=True):
    outcome: Outcome
    text: str
    head: Head | None
    """The last entry up to which nothing is wrong; None: there is not one."""
    cuts: tuple[int, ...] = ()
    """Sequence numbers of entries that say that an unfinished one was cut off before them."""


def verify(file: Path, public_key: Ed25519PublicKey, known: Head | None = None) -> Result:
    """Whether the log is whole and as it was written.

    Args:
        file: the log
        public_key: of its signer, kept where the log's owner cannot change it
        known: a head that was seen earlier; without one a cut-off end cannot be noticed
    """
    walk = _Walk(public_key, known)
    try:
        with file.open("rb") as stream:
            walk.over(stream)
    except OSError as error:
        return walk.result(Outcome.UNREADABLE, f"{file} cannot be read: {error}")
    except WrongEntryError as error:
        return walk.result(error.outcome, str(error))
    return walk.result(Outcome.FINE, f"{walk.head.sequence} entries, all as they were written")


class _Walk:
    """One reading from the first entry on, which ends at the first thing that is wrong."""

    def __init__(self, key: Ed25519PublicKey, known: Head | None) -> None:
        self._key = key
        self._known = known
        self._cuts: list[int] = []
        self.head = EMPTY

    def result(self, outcome: Outcome, text: str) -> Result:
        head = self.head if self.head.sequence else None
        return Result(outcome=outcome, text=text, head=head, cuts=tuple(self._cuts))

    def over(self, stream: BinaryIO) -> None:
        torn = False
        number = 0
        while line := stream.readline(LONGEST_LINE + 1):
            number += 1
            torn = not line.endswith(b"\n") and len(line) <= LONGEST_LINE
            if torn:
                break
            try:
                self._step(line)
            except WrongEntryError as error:
                raise WrongEntryError(error.outcome, f"line {number} {error}") from error
        self._at_the_end(torn_line=number if torn else None)

    def _step(self, line: bytes) -> None:
        entry, head = read_line(line, self._key)
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
        if self._known and head.sequence == self._known.sequence and head != self._known:
            raise WrongEntryError(
                Outcome.REWRITTEN, f"is another entry {head.sequence} than the known one"
            )
        self.head = head
        if entry.cut:
            self._cuts.append(entry.sequence)

    def _at_the_end(self, torn_line: int | None) -> None:
        if self._known and self.head.sequence < self._known.sequence:
            lost = f"{self.head.sequence + 1} to {self._known.sequence}"
            raise WrongEntryError(
                Outcome.TRUNCATED, f"the end is missing: entries {lost} were known"
            )
        if torn_line is not None:
            raise WrongEntryError(
                Outcome.TORN_END,
                f"line {torn_line} is unfinished: a crash while it was written, or a cut",
            )
