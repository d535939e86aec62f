"""Readings in batches, as LONG_WRITE sends them.

The server knows each reading by its time and by what it measures, so how readings are cut into batches does not matter:
a meter that lost the answer, or was restarted, may cut them otherwise.

Batches of a duration are aligned to multiples of it since the Unix epoch; 1 h, 3 h and 12 h fit into a day, so a whole
batch of 15-second readings has 240, 720 or 2,880 rows. Readings need not be in order of time: what several meters wrote
into one file in turns is collected into their batches.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from smartgrid_client.readings import Reading

HOLD: Final = 60
"""Seconds for which a reading of the household file stands: until the next minute."""
MOST_OPEN: Final = 24
"""Batches of a duration that are collected at once; the one that was begun first is finished when there are more."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that are stored together or not at all."""

    rows: tuple[Reading, ...]

    def halves(self) -> tuple["Batch", "Batch"]:
        """Two batches of it, which has two rows at least."""
        middle = (len(self.rows) + 1) // 2
        return Batch(self.rows[:middle]), Batch(self.rows[middle:])


@dataclass(frozen=True, slots=True)
class BatchSize:
    """How much goes into a batch: a number of rows, or a duration in seconds. Exactly one of them."""

    rows: int | None = None
    seconds: int | None = None

    def __post_init__(self) -> None:
        if (self.rows is None) == (self.seconds is None) or (self.rows or self.seconds or 0) < 1:
            raise ValueError("a batch has a number of rows or a duration, at least 1")


def batches(readings: Iterable[Reading], size: BatchSize) -> Iterator[Batch]:
    """All readings, each exactly once, in batches; in order within each."""
    if size.seconds is not None:
        yield from _by_time(readings, size.seconds)
        return
    remaining = iter(readings)
    while rows := tuple(itertools.islice(remaining, size.rows)):
        yield Batch(rows)


def _by_time(readings: Iterable[Reading], seconds: int) -> Iterator[Batch]:
    begun: dict[int, list[Reading]] = {}
    for reading in readings:
        number = reading.timestamp // seconds
        rows = begun.get(number)
        if rows is not None:
            rows.append(reading)
            continue
        if len(begun) == MOST_OPEN:
            yield Batch(tuple(begun.pop(next(iter(begun)))))
        begun[number] = [reading]
    for rows in begun.values():
        yield Batch(tuple(rows))


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
