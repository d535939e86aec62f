"""Meter readings from files, read line by line in constant memory.

What a file's columns mean is in `columns`, its times in `moments`, its bytes in `texts`; users read
`docs/reference/readings.md`. A household reading becomes power in W (kW * 1000), tension = voltage in V and impedance =
voltage / current in ohm; without a current there is no impedance. A value that is missing (`?`, `NA`, nothing) is left
out and never turned into a zero; a line without any value is skipped and counted. Anything else that cannot be read is
an error that names the line and the column, because guessing would falsify somebody's bill.
"""

import csv
import datetime as dt
import importlib.resources
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

from smartgrid_client import columns, texts
from smartgrid_client.columns import Columns, Layout, Role, Unit
from smartgrid_client.messages import LARGEST_VALUE, LAST_SECOND
from smartgrid_client.moments import Clock
from standby.errors import BadRequestError, words

PLAIN_HEADER: Final = "timestamp,power,impedance,tension"
SAMPLE: Final = "household_power_2007-02.txt"
_MISSING: Final = frozenset({"?", "", "na", "n/a", "null"})
_NUMBER: Final = re.compile(
    r"[+-]?(?:[0-9]+(?:([.,])[0-9]*)?|([.,])[0-9]+)(?:[eE][+-]?[0-9]{1,3})?"
)
_MARKS: Final = {".": "decimal point", ",": "decimal comma"}
EARLIEST: Final = 946_684_800
"""Unix seconds of the year 2000: no smart meter has measured before."""
AHEAD: Final = 86_400
"""Seconds that a time may be after now: a clock set to local time instead of UTC is up to 14 hours ahead."""


class Reading(NamedTuple):
    """The readings of one time, in the order in which LONG_WRITE sends them. None: it was not measured."""

    timestamp: int
    """Unix seconds, UTC."""
    power: float | None
    """W"""
    impedance: float | None
    """ohm"""
    tension: float | None
    """V"""


class Skipped(StrEnum):
    """Why a line of a file gave no reading."""

    MISSING = "missing"
    """It has no value."""
    BAD = "bad"
    """It cannot be read, and the user wants to go on without it."""


class ReadingsError(BadRequestError):
    """A file of readings cannot be used; the message names the line, the column and what is expected."""

    code = "bad_readings"


Skips = Counter[Skipped]
"""Lines that were skipped, by reason; readers add to it while they are read."""
OnBad = Callable[[ReadingsError], None]
"""What becomes of the error of one line; when it returns, reading goes on with the next line."""


@dataclass(frozen=True, slots=True)
class Format:
    """How a file is read."""

    columns: Columns | None = None
    """None: by its header."""
    zone: dt.tzinfo = dt.UTC
    """Of times without a zone."""
    earliest: int = 0
    """Unix seconds; times before it are errors."""
    latest: int = LAST_SECOND
    """Times after it, too."""
    hint: str = ""
    """For whoever has such times."""

    @property
    def known(self) -> Sequence[Columns]:
        return (columns.HOUSEHOLD, columns.PLAIN) if self.columns is None else (self.columns,)


ANY: Final = Format()


def refuse(error: ReadingsError) -> None:
    """The `OnBad` of those who want every line."""
    raise error


def read_file(
    path: Path, skips: Skips, form: Format = ANY, on_bad: OnBad = refuse
) -> Iterator[Reading]:
    """The readings of a file, a pipe, or standard input (`-`).

    Raises:
        ReadingsError: the file cannot be opened, or a line cannot be read.
    """
    try:
        source = texts.Source(path)
    except OSError as error:
        raise ReadingsError(f"cannot read {path}: {words(error)}") from error
    return read_source(source, skips, form, on_bad)


def read_source(
    source: texts.Source, skips: Skips, form: Format = ANY, on_bad: OnBad = refuse
) -> Iterator[Reading]:
    """The readings of a source.

    Raises:
        ReadingsError: as `read_file`.
    """
    try:
        yield from read_lines(source.lines(), skips, source.name, form, on_bad)
    except OSError as error:
        raise ReadingsError(f"cannot read {source.name}: {words(error)}") from error


def read_lines(
    lines: Iterable[str],
    skips: Skips,
    name: str = "readings",
    form: Format = ANY,
    on_bad: OnBad = refuse,
) -> Iterator[Reading]:
    """The readings of a file's lines; the first line that is not empty says what its columns are.

    Raises:
        ReadingsError: no known columns, no text, or what `on_bad` raises.
    """
    number, parser = 0, None
    try:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            if parser is None:
                parser = Parser(columns.layout(line, form.known), form)
            elif (
                found := _read(parser, line, f"{name}, line {number}", skips, on_bad)
            ) is not None:
                yield found
    except texts.NotTextError as error:
        raise ReadingsError(f"{name}, line {number + 1}: {error}") from error
    except ValueError as error:
        raise ReadingsError(f"{name}, line {number}: {error}") from error
    if parser is None:
        raise ReadingsError(f"{name} is empty: {columns.EXPECTED}")


def _read(parser: "Parser", line: str, where: str, skips: Skips, on_bad: OnBad) -> Reading | None:
    try:
        found = parser.read(line)
    except ValueError as error:
        skips[Skipped.BAD] += 1
        on_bad(ReadingsError(f"{where}{error}"))
        return None
    if found is None:
        skips[Skipped.MISSING] += 1
    return found


class Parser:
    """Reads the lines of one file, in their order."""

    def __init__(self, layout: Layout, form: Format) -> None:
        self._layout = layout
        self._clock = Clock(form.zone)
        self._form = form
        self._mark: str | None = None
        """What the file writes between ones and tenths."""

    def read(self, line: str) -> Reading | None:
        """One line; None if it has no value.

        Raises:
            ValueError: it cannot be read; the message goes on after the line's number.
        """
        fields = self._fields(line)
        timestamp = self._time(fields)
        values: dict[Role, float | None] = {
            role: self._value(fields[place], place, unit)
            for role, place, unit in self._layout.values
        }
        tension, current = values.get(Role.TENSION), values.get(Role.CURRENT)
        impedance = values.get(Role.IMPEDANCE)
        if tension is not None and current:
            impedance = tension / current
            if abs(impedance) > LARGEST_VALUE:
                raise ValueError(
                    f": the impedance, voltage / current, is {impedance:g}: at most 1e12"
                )
        power = values.get(Role.POWER)
        if power is impedance is tension is None:
            return None
        return Reading(timestamp, power, impedance, tension)

    def _fields(self, line: str) -> list[str]:
        separator, expected = self._layout.separator, len(self._layout.header)
        quoted = '"' in line
        written = next(csv.reader([line], delimiter=separator)) if quoted else line.split(separator)
        fields = [field.strip() for field in written]
        if len(fields) < expected or any(fields[expected:]):
            raise ValueError(f": expected {expected} fields, not {len(fields)}, in {line[:80]!r}")
        return fields

    def _time(self, fields: Sequence[str]) -> int:
        text = " ".join([fields[place] for place in self._layout.time])
        form = self._form
        try:
            found = self._clock.read(text)
        except ValueError as error:
            why = str(error)
        else:
            if form.earliest <= found <= form.latest:
                return found
            within = f"{_moment(form.earliest)} to {_moment(form.latest)}"
            why = f"{text!r} is not plausible: expected {within}{form.hint}"
        name = "+".join(self._layout.header[place] for place in self._layout.time)
        raise ValueError(f", column {name}: {why}")

    def _value(self, text: str, place: int, unit: Unit) -> float | None:
        match = _NUMBER.fullmatch(text)
        if match is None:
            if text.casefold() in _MISSING:
                return None
            raise ValueError(self._bad(place, f"{text[:20]!r} is not a number such as 240.5"))
        mark = match[1] or match[2]
        if mark is not None and mark != self._mark:
            self._take_mark(mark, place, text)
        plain = text.replace(",", ".") if mark == "," else text
        value = float(plain)
        if unit.factor != 1 and abs(value) <= LARGEST_VALUE:
            value = float(Decimal(plain) * unit.factor / unit.divisor)  # 0.326 kW is exactly 326 W
        if abs(value) > LARGEST_VALUE:
            raise ValueError(self._bad(place, f"{value:g} is out of range: expected at most 1e12"))
        return value

    def _take_mark(self, mark: str, place: int, text: str) -> None:
        if self._mark is not None:
            why = f"has a {_MARKS[mark]}: expected a {_MARKS[self._mark]} as in the lines before"
            raise ValueError(self._bad(place, f"{text[:20]!r} {why}"))
        self._mark = mark

    def _bad(self, place: int, why: str) -> str:
        return f", column {self._layout.header[place]}: {why}"


def sample_readings(skips: Skips | None = None) -> Iterator[Reading]:
    """The readings of the file that comes with this package: six days, one a minute, the days not in order.

    Source and licence are in `sample/README.md`.
    """
    resource = importlib.resources.files(__package__) / "sample" / SAMPLE
    with resource.open(encoding="utf-8") as file:
        yield from read_lines(file, Counter() if skips is None else skips, SAMPLE)


def plain_lines(readings: Iterable[Reading]) -> Iterator[str]:
    """The lines, without their ends, of a plain CSV file that reads back as the same readings."""
    rows = (
        ",".join((str(at), *("" if value is None else repr(value) for value in values)))
        for at, *values in readings
    )
    return itertools.chain((PLAIN_HEADER,), rows)


def _moment(timestamp: int) -> str:
    moment = dt.datetime.fromtimestamp(min(timestamp, LAST_SECOND - 1), dt.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
