"""Readings in batches, as LONG_WRITE sends them, with ids that stay the same over retries and restarts.

A batch's id is a digest of its rows and of nothing else: no counter, no file name, no moment of the run. So a meter
that lost the answer, or was restarted, sends the same batch under the same id, and the server stores it once.

Batches of a duration are aligned to multiples of it since the Unix epoch, whatever the first reading is; 1 h, 3 h and
12 h fit into a day, so a whole batch of 15-second readings has 240, 720 or 2,880 rows, and a batch never spans a gap
longer than itself.
"""

import hashlib
import itertools
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from smartgrid_client.readings import Reading

HOLD: Final = 60
"""Seconds for which a reading of the household file stands: until the next minute."""
_ROW: Final = struct.Struct("!qddd")


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that are stored together or not at all."""

    rows: tuple[Reading, ...]

    @property
    def id(self) -> str:
        """32 hex digits, the same for the same rows."""
        digest = hashlib.sha256()
        for row in self.rows:
            digest.update(_ROW.pack(*row))
        return digest.hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class BatchSize:
    """How much goes into a batch: a number of rows, or a duration in seconds. Exactly one of them."""

    rows: int | None = None
    seconds: int | None = None

    def __post_init__(self) -> None:
        if (self.rows is None) == (self.seconds is None) or (self.rows or self.seconds or 0) < 1:
            raise ValueError("a batch has a number of rows or a duration, at least 1")


def batches(readings: Iterable[Reading], size: BatchSize) -> Iterator[Batch]:
    """All readings, each exactly once and in order, in batches."""
    if size.seconds is not None:
        seconds = size.seconds
        for _, group in itertools.groupby(readings, lambda reading: reading.timestamp // seconds):
            yield Batch(tuple(group))
        return
    remaining = iter(readings)
    while rows := tuple(itertools.islice(remaining, size.rows)):
        yield Batch(rows)


def densify(readings: Iterable[Reading], step: int = 15, hold: int = HOLD) -> Iterator[Reading]:
    """Each reading held for `hold` seconds and repeated every `step` seconds (one-minute to 15-second readings).

    The value does not change within the minute, so averages over whole minutes stay what they were. A held value ends
    where the next reading begins, and a gap stays a gap: nothing is made up where a reading is missing. Where time
    jumps back (the sample's days are not in order) a reading is held as before a gap.

    Raises:
        ValueError: `step` does not divide `hold`, which would leave uneven distances.
    """
    if step < 1 or hold % step:
        raise ValueError(f"{hold} s cannot be divided into steps of {step} s")
    return _held(readings, step, hold)


def _held(readings: Iterable[Reading], step: int, hold: int) -> Iterator[Reading]:
    last = Reading(2**62, 0, 0, 0)
    for reading, following in itertools.pairwise(itertools.chain(readings, (last,))):
        begin, until = reading.timestamp, reading.timestamp + hold
        if begin < following.timestamp < until:
            until = following.timestamp
        for timestamp in range(begin, until, step):
            yield reading._replace(timestamp=timestamp)
