"""Buckets of time: how long they are, where they begin in a time zone, and which length suits a period.

Hours, days, months and years are those of the calendar and the clock in the zone: a civil day may have 23 or 25 hours,
a week begins on Monday. Buckets that fit into no civil hour or day (7 minutes, say) follow each other from the midnight
before the period on.
"""

import datetime as dt
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from smartgrid_client.messages import LAST_SECOND

MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86_400
_MONTH: Final = 30 * DAY
MOST: Final = 10_000
"""Buckets of one period; a screen has room for fewer."""
_WRITTEN: Final = re.compile(r"([0-9]{1,9})\s*([a-z]*)", re.IGNORECASE)
_SECONDS: Final = {"": 1, "s": 1, "m": MINUTE, "min": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_MONTHS: Final = {"mo": 1, "y": 12}


@dataclass(frozen=True, slots=True)
class Bucket:
    """A length: a number of seconds, or of months. Exactly one of them."""

    seconds: int = 0
    months: int = 0

    def __post_init__(self) -> None:
        if bool(self.seconds) == bool(self.months) or self.seconds < 0 or self.months < 0:
            raise ValueError("a bucket has a number of seconds or of months, at least 1")

    @property
    def about(self) -> int:
        """Seconds; months are not all equally long."""
        return self.seconds or self.months * _MONTH

    def __str__(self) -> str:
        """In words: `hour`, `15 minutes`."""
        sizes = ((12, "year"), (1, "month")) if self.months else _WORDS
        size, name = next(each for each in sizes if (self.months or self.seconds) % each[0] == 0)
        count = (self.months or self.seconds) // size
        return name if count == 1 else f"{count} {name}s"


_WORDS: Final = ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (1, "second"))
FITTING: Final = (
    *(Bucket(each) for each in (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY)),
    *(Bucket(months=each) for each in (1, 3, 12, 120, 1200)),
)
"""Lengths that people think in."""


def bucket(text: str) -> Bucket:
    """What `15m`, `1h`, `7d`, `1mo` or `1y` means.

    Raises:
        ValueError: it is no length.
    """
    match = _WRITTEN.fullmatch(text)
    unit = match[2].lower() if match else ""
    if match is None or int(match[1]) < 1 or unit not in _SECONDS | _MONTHS:
        raise ValueError(
            f"expected whole seconds, or a number with s, m, h, d, w, mo (month) or y, not {text!r}"
        )
    if unit in _MONTHS:
        return Bucket(months=int(match[1]) * _MONTHS[unit])
    return Bucket(int(match[1]) * _SECONDS[unit])


def fitting(start: int, end: int, wanted: int) -> Bucket:
    """The shortest length that shows the period (Unix seconds) in about `wanted` buckets at most."""
    return next((each for each in FITTING if (end - start) / each.about <= wanted), FITTING[-1])


def edges(first: int, last: int, length: Bucket, zone: dt.tzinfo) -> list[int]:
    """Where the buckets begin that hold the moments from `first` to `last` (Unix seconds), and where the last one ends.

    Raises:
        ValueError: there would be more than `MOST` buckets.
    """
    if (last - first) / length.about > MOST:
        suits = fitting(first, last, MOST)
        raise ValueError(
            f"one average per {length} would be {(last - first) // length.about:,} of them, and {MOST:,} are the most: "
            f"ask for longer buckets (one per {suits} fits) or a shorter period"
        )
    last = min(last, LAST_SECOND - 1)  # after which nothing begins
    found = [0]
    for each in _boundaries(first, length, zone):
        if each <= first:
            found = [max(each, 0)]
        elif each > found[-1]:
            found.append(each)
        if each > last:
            return found
    raise AssertionError("boundaries go on for ever")


def local(timestamp: int, zone: dt.tzinfo) -> dt.datetime:
    """The moment in the zone; the last one of the year 9999 if it is later there."""
    try:
        return dt.datetime.fromtimestamp(timestamp, zone)
    except (OverflowError, ValueError):
        return dt.datetime.max.replace(tzinfo=zone)


def _boundaries(start: int, length: Bucket, zone: dt.tzinfo) -> Iterator[int]:
    """Rising, from one that is not after `start`; without end."""
    moment = local(start, zone)
    seconds = length.seconds
    if length.months:
        first = (moment.year * 12 + moment.month - 1) // length.months
        for number in itertools.count(first * length.months, length.months):
            yield _midnight(number // 12, number % 12 + 1, zone)
    elif seconds % DAY == 0:
        days = seconds // DAY
        first = (moment.toordinal() - 1) // days * days + 1  # day 1 is a Monday
        for ordinal in itertools.count(first, days):
            yield _on_day(ordinal, 0, zone)
    elif seconds > HOUR and DAY % seconds == 0:
        for ordinal in itertools.count(moment.toordinal()):
            for second in range(0, DAY, seconds):
                yield _on_day(ordinal, second, zone)
    else:
        yield from itertools.count(_on_day(moment.toordinal(), 0, zone), seconds)


def _midnight(year: int, month: int, zone: dt.tzinfo) -> int:
    if year > dt.MAXYEAR:
        return LAST_SECOND
    return int(dt.datetime(max(year, 1), month, 1, tzinfo=zone).timestamp())


def _on_day(ordinal: int, second: int, zone: dt.tzinfo) -> int:
    """By the clock on the wall."""
    if ordinal > dt.date.max.toordinal():
        return LAST_SECOND
    clock = dt.time(second // HOUR, second % HOUR // MINUTE, second % MINUTE)
    day = dt.date.fromordinal(ordinal)
    return int(dt.datetime.combine(day, clock, zone).timestamp())
