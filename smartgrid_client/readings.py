"""Meter readings from files: the household format and a plain CSV, read line by line in constant memory.

Two formats, told apart by their first line:

    Date;Time;Global_active_power;…;Voltage;Global_intensity;…   one household, kW, V and A
    timestamp,power,impedance,tension                            Unix seconds, W, ohm, V

A household reading becomes power in W (kW * 1000), tension = voltage in V and impedance = voltage / current in ohm.
The file names no time zone; its dates are taken as UTC. A reading that says nothing is skipped and counted, never
turned into a zero: `?` or an empty field (missing), and a current of zero (the impedance would be infinite). Anything
else that cannot be read is an error with the line's number, because guessing would falsify somebody's bill.
"""

import contextlib
import datetime as dt
import importlib.resources
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

from standby.errors import BadRequestError

PLAIN_HEADER: Final = "timestamp,power,impedance,tension"
SAMPLE: Final = "household_power_2007-02.txt"
_HOUSEHOLD_START: Final = "date;time;global_active_power;"
_HOUSEHOLD_COLUMNS: Final = 9
_PLAIN_COLUMNS: Final = 4
_MISSING: Final = frozenset({"?", ""})
_LATEST: Final = 253_402_300_799
"""Unix seconds of the end of the year 9999; a timestamp beyond it is in milliseconds by mistake."""


class Reading(NamedTuple):
    """One reading, in the order in which LONG_WRITE sends it."""

    timestamp: int
    """Unix seconds, UTC."""
    power: float
    """W"""
    impedance: float
    """ohm"""
    tension: float
    """V"""


class Skipped(StrEnum):
    """Why a line of a file gave no reading."""

    MISSING = "missing"
    NO_CURRENT = "no_current"


class ReadingsError(BadRequestError):
    """A file of readings cannot be used; the message names the line and what is expected."""

    code = "bad_readings"


Skips = Counter[Skipped]
"""Lines that were skipped, by reason; readers add to it while they are read."""


def read_file(path: Path, skips: Skips) -> Iterator[Reading]:
    """The readings of a file in either format.

    Raises:
        ReadingsError: the file cannot be opened, or a line cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from read_lines(file, skips, path.name)
    except OSError as error:
        raise ReadingsError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ReadingsError(f"{path} is not a text file") from error


def read_lines(lines: Iterable[str], skips: Skips, name: str = "readings") -> Iterator[Reading]:
    """The readings of a file's lines; the first line decides the format.

    Raises:
        ReadingsError: an unknown first line, or a line that cannot be read.
    """
    numbered = enumerate((line.strip() for line in lines), start=1)
    _, header = next(numbered, (0, ""))
    parse = _parser(header, name)
    for number, line in numbered:
        if not line:
            continue
        try:
            found = parse(line)
        except (ValueError, InvalidOperation) as error:
            raise ReadingsError(f"{name}, line {number}: {error} in {line[:80]!r}") from error
        if isinstance(found, Skipped):
            skips[found] += 1
        else:
            yield found


def sample_readings(skips: Skips | None = None) -> Iterator[Reading]:
    """The readings of the file that comes with this package: six days, one a minute, the days not in order.

    Source and licence are in `sample/README.md`.
    """
    with contextlib.ExitStack() as stack:
        resource = importlib.resources.files(__package__) / "sample" / SAMPLE
        file = stack.enter_context(resource.open(encoding="utf-8"))
        yield from read_lines(file, Counter() if skips is None else skips, SAMPLE)


def plain_lines(readings: Iterable[Reading]) -> Iterator[str]:
    """The lines, without their ends, of a plain CSV file that reads back as the same readings."""
    rows = (f"{at},{power!r},{ohm!r},{volt!r}" for at, power, ohm, volt in readings)
    return itertools.chain((PLAIN_HEADER,), rows)


def _parser(header: str, name: str) -> Callable[[str], Reading | Skipped]:
    text = header.lower().replace(" ", "")
    if text == PLAIN_HEADER:
        return parse_plain
    if text.startswith(_HOUSEHOLD_START):
        return parse_household
    raise ReadingsError(
        f"{name}, line 1: expected {PLAIN_HEADER} or {_HOUSEHOLD_START}…, not {header[:80]!r}"
    )


def parse_plain(line: str) -> Reading | Skipped:
    """One line of the plain format.

    Raises:
        ValueError: it cannot be read; the message says what is wrong.
    """
    fields = _fields(line, ",", _PLAIN_COLUMNS)
    if _MISSING & set(fields):
        return Skipped.MISSING
    timestamp = int(fields[0])
    if not 0 <= timestamp <= _LATEST:
        raise ValueError("a timestamp is Unix seconds, not milliseconds,")
    return Reading(timestamp, *(float(_number(field)) for field in fields[1:]))


def parse_household(line: str) -> Reading | Skipped:
    """One line of the household format.

    Raises:
        ValueError: it cannot be read; the message says what is wrong.
    """
    date, time, kilowatts, _, voltage, current, *_ = _fields(line, ";", _HOUSEHOLD_COLUMNS)
    timestamp = _household_time(date, time)
    if _MISSING & {kilowatts, voltage, current}:
        return Skipped.MISSING
    volts, amperes = _number(voltage), _number(current)
    if not amperes:
        return Skipped.NO_CURRENT
    power = float(_number(kilowatts) * 1000)
    return Reading(timestamp, power, float(volts) / float(amperes), float(volts))


def _fields(line: str, separator: str, count: int) -> list[str]:
    fields = [field.strip() for field in line.split(separator)]
    if len(fields) != count:
        raise ValueError(f"expected {count} fields, not {len(fields)},")
    return fields


def _household_time(date: str, time: str) -> int:
    try:
        parsed = dt.datetime.strptime(f"{date} {time} +0000", "%d/%m/%Y %H:%M:%S %z")
    except ValueError as error:
        raise ValueError("expected d/m/yyyy;hh:mm:ss") from error
    return int(parsed.timestamp())


def _number(text: str) -> Decimal:
    """Decimal, so that 0.326 kW is exactly 326 W."""
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"{text[:20]!r} is not a number") from error
    if not value.is_finite() or not math.isfinite(float(value)):
        raise ValueError(f"{text[:20]!r} is not a finite number")
    return value
