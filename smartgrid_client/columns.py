"""What the columns of a file of readings mean: by its header, or by what the user says (`--columns`).

A file has one row for each time. Names are compared without regard to case and spaces; the order of columns does not
matter, and others are ignored.

    timestamp, power, impedance, tension            W, ohm, V
    Date, Time, Global_active_power, Voltage, Global_intensity      kW, V, A (the household format)
    time=…,power=…:kW,tension=…,current=…           whatever the user says
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final

SEPARATORS: Final = (";", "\t", ",", "|")
_ENERGY: Final = re.compile(r"(k?wh)/([0-9]{1,6})(s|m|min|h)", re.IGNORECASE)
_SECONDS: Final = {"s": 1, "m": 60, "min": 60, "h": 3600}
_HOUR: Final = 3600


class Role(StrEnum):
    """What a column holds."""

    TIME = "time"
    POWER = "power"
    IMPEDANCE = "impedance"
    TENSION = "tension"
    CURRENT = "current"
    """Of which, with the tension, the impedance is made."""


_VALUES: Final = (Role.POWER, Role.IMPEDANCE, Role.TENSION)
_UNITS: Final[Mapping[Role, Mapping[str, Decimal]]] = {
    Role.POWER: {"w": Decimal(1), "kw": Decimal(1000), "mw": Decimal(1_000_000)},
    Role.IMPEDANCE: {"ohm": Decimal(1), "Ω": Decimal(1)},
    Role.TENSION: {"v": Decimal(1), "kv": Decimal(1000)},
    Role.CURRENT: {"a": Decimal(1), "ma": Decimal("0.001")},
    Role.TIME: {},
}
_UNIT_NAMES: Final = "W, kW, MW, or energy as kWh/15m; ohm; V, kV; A, mA"


@dataclass(frozen=True, slots=True)
class Unit:
    """A written number times `factor`, divided by `divisor`, is the value in the role's own unit."""

    name: str
    factor: Decimal = Decimal(1)
    divisor: int = 1


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns a file has to have. Names as they are compared."""

    time: tuple[str, ...]
    """One, or two that are read with a space between them."""
    values: Mapping[Role, tuple[str, Unit]]
    optional: bool = False
    """Whether one of the values is enough."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the columns are in one file."""

    separator: str
    header: tuple[str, ...]
    """Names as they are written."""
    time: tuple[int, ...]
    values: tuple[tuple[Role, int, Unit], ...] = field(default=())


PLAIN: Final = Columns(
    ("timestamp",),
    {
        Role.POWER: ("power", Unit("W")),
        Role.IMPEDANCE: ("impedance", Unit("ohm")),
        Role.TENSION: ("tension", Unit("V")),
    },
    optional=True,
)
HOUSEHOLD: Final = Columns(
    ("date", "time"),
    {
        Role.POWER: ("global_active_power", Unit("kW", Decimal(1000))),
        Role.TENSION: ("voltage", Unit("V")),
        Role.CURRENT: ("global_intensity", Unit("A")),
    },
    optional=True,
)
EXPECTED: Final = (
    "expected the columns timestamp and power, impedance or tension; or Date, Time and "
    "Global_active_power, Voltage or Global_intensity; --columns names others"
)


def compared(name: str) -> str:
    return "".join(name.split()).casefold()


def chosen(text: str) -> Columns:
    """What the user says, as `time=Zeit,power=Leistung:kW`.

    Raises:
        ValueError: it cannot be meant.
    """
    time: tuple[str, ...] = ()
    values: dict[Role, tuple[str, Unit]] = {}
    for part in text.split(","):
        word, _, written = (each.strip() for each in part.partition("="))
        if word not in set(Role) or not written:
            raise ValueError(
                f"{part!r} is no column: expected {', '.join(Role)}, then = and its name"
            )
        role = Role(word)
        if role in values or (role is Role.TIME and time):
            raise ValueError(f"there are two columns for {role}")
        if role is Role.TIME:
            time = tuple(compared(each) for each in written.split("+"))
        else:
            values[role] = _named(role, written)
    if not time:
        raise ValueError("a time=NAME is needed (time=DATE+TIME for two columns)")
    if not values.keys() & set(_VALUES):
        raise ValueError(f"one of {', '.join(_VALUES)} is needed")
    if Role.CURRENT in values and (Role.TENSION not in values or Role.IMPEDANCE in values):
        raise ValueError("current is for the impedance: it needs tension, and no impedance")
    return Columns(time, values)


def layout(line: str, wanted: Sequence[Columns]) -> Layout:
    """Where the columns are, by a file's first line.

    Raises:
        ValueError: they are not there.
    """
    for separator in SEPARATORS:
        header = tuple(each.strip().strip('"') for each in line.split(separator))
        names = [compared(each) for each in header]
        for columns in wanted:
            found = _placed(columns, names)
            if found is not None:
                return Layout(separator, header, *found)
    given = f"not {line[:120]!r}"
    if PLAIN in wanted:
        raise ValueError(f"{EXPECTED}; {given}")
    names_of = " and ".join((*wanted[0].time, *(name for name, _ in wanted[0].values.values())))
    raise ValueError(f"expected the columns {names_of}, {given}")


def _placed(
    columns: Columns, names: Sequence[str]
) -> tuple[tuple[int, ...], tuple[tuple[Role, int, Unit], ...]] | None:
    present = {role: named for role, named in columns.values.items() if named[0] in names}
    if not all(each in names for each in columns.time) or not present.keys() & set(_VALUES):
        return None
    if len(present) < len(columns.values) and not columns.optional:
        return None
    used = (*columns.time, *(name for name, _ in present.values()))
    for each in used:
        if names.count(each) > 1:
            raise ValueError(f"there are {names.count(each)} columns {each}: expected one")
    values = tuple((role, names.index(name), unit) for role, (name, unit) in present.items())
    return tuple(names.index(each) for each in columns.time), values


def _named(role: Role, written: str) -> tuple[str, Unit]:
    """A column's name and unit, of `name` or `name:unit`."""
    name, colon, unit = written.rpartition(":")
    if not colon:
        return compared(written), Unit(role.value)
    if not name:
        raise ValueError(f"{written!r} names no column")
    return compared(name), _unit(role, unit)


def _unit(role: Role, written: str) -> Unit:
    factor = _UNITS[role].get(written.casefold())
    if factor is not None:
        return Unit(written, factor)
    energy = _ENERGY.fullmatch(written)
    if role is Role.POWER and energy is not None and int(energy[2]):
        kilo = 1000 if energy[1].casefold() == "kwh" else 1
        seconds = int(energy[2]) * _SECONDS[energy[3].casefold()]
        return Unit(written, Decimal(kilo * _HOUR), seconds)
    if role is Role.POWER and written.casefold() in {"wh", "kwh"}:
        raise ValueError(f"{written} is energy: say in which time it was used, as {written}/15m")
    raise ValueError(f"{written!r} is no unit of {role}: expected {_UNIT_NAMES}")
