"""Moments as people write them, and the time zone in which they mean them.

Unix seconds, ISO 8601 (`2007-02-01`, `2007-02-01T18:00:00+01:00`, `…Z`), or day first (`1/2/2007 18:00:00`).
One without a zone of its own is local time in the zone of the run: `--tz`, else the variable TZ, else UTC.

A civil day of a zone with summer time may have 23 or 25 hours. A time that a zone skips is no moment. One that a zone
has twice is its first occurrence, or its second where the file's times have come that far already (`Clock`).
"""

import calendar
import datetime as dt
import re
from collections.abc import Mapping
from typing import Final
from zoneinfo import ZoneInfo

from smartgrid_client.messages import LAST_SECOND

_UNIX: Final = re.compile(r"[0-9]{1,12}")
_MILLISECONDS: Final = re.compile(r"[0-9]{13,}")
_ISO: Final = re.compile(r"[0-9]{4}-[0-9].*")
_DAY_FIRST: Final = re.compile(
    r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})(?:[ T]([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?)?"
)
FORMS: Final = "Unix seconds, 2007-02-01T18:00:00+01:00, 2007-02-01 18:00 or 1/2/2007 18:00:00"


def zone_named(name: str) -> dt.tzinfo:
    """The zone of that name of the IANA database.

    Raises:
        ValueError: there is none on this machine.
    """
    if name.upper() in {"UTC", "Z", "GMT"}:
        return dt.UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise ValueError(
            f"there is no time zone {name!r} here: expected a name such as Europe/Paris or UTC "
            "(Debian's package tzdata has them)"
        ) from None


def zone_of(environ: Mapping[str, str]) -> tuple[dt.tzinfo, str | None]:
    """The zone that TZ names, else UTC; and what the user should know about it."""
    name = environ.get("TZ", "").removeprefix(":")
    if not name:
        return dt.UTC, None
    try:
        return zone_named(name), None
    except ValueError:
        return dt.UTC, f"times are UTC: TZ={name} is no name of a time zone (--tz Europe/Paris)"


def name_of(zone: dt.tzinfo) -> str:
    return zone.key if isinstance(zone, ZoneInfo) else "UTC"


class Clock:
    """Reads the times of one file, or of one command line, in their order."""

    def __init__(self, zone: dt.tzinfo = dt.UTC) -> None:
        self.zone = zone
        self._last = -1
        """Of the last line; times of a file rise, at least while clocks go back."""

    def read(self, text: str) -> int:
        """Unix seconds of a written moment.

        Raises:
            ValueError: it is none; the message says what was expected.
        """
        if _UNIX.fullmatch(text):
            found = int(text)
        elif _MILLISECONDS.fullmatch(text):
            raise ValueError(
                f"{text[:20]} is no time: a timestamp is Unix seconds, not milliseconds"
            )
        else:
            found = self._of(_parsed(text))
        if not 0 <= found < LAST_SECOND:
            raise ValueError(f"{text[:40]!r} is not within the years 1970 to 9999")
        self._last = found
        return found

    def _of(self, moment: dt.datetime) -> int:
        if moment.microsecond:
            raise ValueError(f"{moment} is between two seconds: expected a whole one")
        if moment.tzinfo is not None:
            return _seconds(moment)
        if self.zone is dt.UTC:
            return calendar.timegm(moment.timetuple())
        first = _seconds(moment.replace(tzinfo=self.zone))
        second = _seconds(moment.replace(tzinfo=self.zone, fold=1))
        if first > second:
            raise ValueError(
                f"there is no {moment} in {name_of(self.zone)}: clocks went forward then"
            )
        return second if first <= self._last <= second else first


def _seconds(moment: dt.datetime) -> int:
    """Whole Unix seconds; also of years whose local time is outside of Python's."""
    try:
        return int(moment.timestamp())
    except OverflowError:
        raise ValueError(f"{moment} is not within the years 1970 to 9999") from None


def _parsed(text: str) -> dt.datetime:
    """With a zone if one is written."""
    try:
        if match := _DAY_FIRST.fullmatch(text):
            day, month, year, hour, minute, second = [int(each or 0) for each in match.groups()]
            return dt.datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  # it has none
        if text.isascii() and _ISO.fullmatch(text):
            return dt.datetime.fromisoformat(text)
    except ValueError:
        pass
    raise ValueError(f"{text[:40]!r} is no time: expected {FORMS}")
