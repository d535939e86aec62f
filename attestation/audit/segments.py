"""Which files a log is kept in: closed segments, named by their last entry, and the one that is being written."""

import filecmp
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from attestation.audit.entries import LOG_FILE, LONGEST_LINE, Entry, Line
from standby import decode
from standby.decode import UnreadableError

_CLOSED: Final = "audit-*.jsonl"
_DIGITS: Final = 12
"""Of a sequence number in a name, so that names sort as numbers do."""


def name_of(last: int) -> str:
    """The name of a closed segment whose last entry has this sequence number."""
    return f"audit-{last:0{_DIGITS}}.jsonl"


def segments(directory: Path) -> list[Path]:
    """The files of the log in `directory`, the oldest first; empty if there is none.

    A writer that was killed after it had given a segment its name, and before it began the next one, leaves the same
    segment under two names.
    """
    closed, log = sorted(directory.glob(_CLOSED)), directory / LOG_FILE
    if not log.exists():
        return closed
    if closed and filecmp.cmp(closed[-1], log, shallow=False):
        closed.pop()
    return [*closed, log]


def in_order(files: Iterable[Path]) -> list[Path]:
    """By their first entries, wherever the files were moved to; what has none comes last."""
    return sorted(files, key=lambda file: (_first(file) or 2**63, str(file)))


def _first(file: Path) -> int | None:
    try:
        with file.open("rb") as stream:
            line = decode.json(stream.readline(LONGEST_LINE + 1), Line)
        return decode.json(line.entry, Entry).sequence
    except (OSError, UnreadableError):
        return None
