"""What people read instead of names of systems, levels, operations and roles.

A simulated launcher is always called simulated: a figure travels without the page that explains it.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from bench.experiment.record import Cell, Level, System

SYSTEM: Final = "system"
"""Stands for the system wherever a level is named."""

_OPERATIONS: Final = {
    "LOGIN": "LOGIN",
    "WRITE": "WRITE",
    "LONG_WRITE": "LONG_WRITE",
    "QUERY_AVG": "QUERY_AVG",
    "LOGOUT": "LOGOUT",
    "START": "start of a server",
    "CONNECT": "connection",
}
_WORDS: Final = {
    ("way", "hook"): "Lua hook",
    ("way", "hook-first"): "Lua hook, first connections only",
    ("way", "static"): "static routes",
    ("state", "waiting"): "servers waiting",
    ("state", "active"): "servers active",
    ("launcher", "simulated-enclave"): "simulated enclave",
    ("launcher", "simulated-container-enclave"): "simulated container + enclave",
}
_COUNTED: Final = {
    "users": "users",
    "servers": "servers",
    "active": "users active",
    "backends": "backends",
    "clients": "clients",
    "rate": "connections/s",
}
_TITLES: Final = {
    SYSTEM: "system",
    "active": "users active",
    "write_ratio": "writes",
    "period": "period",
    "hours": "readings",
    "way": "routing",
    "state": "servers are",
}
_ROLES: Final = {
    "servers": "servers",
    "wrappers": "wrappers",
    "routing-manager": "Routing Manager",
    "load-balancer": "load balancer",
    "generator": "load generator",
}


def launcher(name: str) -> str:
    return _WORDS.get(("launcher", name), name.replace("-", " "))


def system(of: System | None) -> str:
    """`standby (fork)`, `trivial (spawn)`, `on-demand (simulated enclave)`."""
    return "no platform" if of is None else f"{of.approach} ({launcher(of.launcher)})"


def named_system(name: str) -> str:
    """`standby/fork` in words."""
    approach, _, how = name.partition("/")
    return system(System(approach=approach, launcher=how))


def level(name: str, value: Level | None, beside: Mapping[str, Level]) -> str:
    """The value of one level in words, with the levels `beside` it where they give it a meaning."""
    if value is None:
        return f"no {name.replace('_', ' ')}"
    if (name, value) in _WORDS:
        return _WORDS[name, str(value)]
    if isinstance(value, str):
        return value if name == "launcher" else f"{name.replace('_', ' ')} {value}"
    if name == "active" and "users" in beside:
        return f"{number(value)} of {number(beside['users'])} users active"
    return _measured(name, value)


def _measured(name: str, value: float) -> str:
    match name:
        case "write_ratio":
            return f"{number(round(value * 100, 1))} % writes"
        case "period":
            return f"every {number(value)} s"
        case "hours":
            return f"{number(value)} h of readings"
        case _:
            unit = _COUNTED.get(name)
            return (
                f"{number(value)} {unit}" if unit else f"{name.replace('_', ' ')} {number(value)}"
            )


def title(name: str) -> str:
    """Of a column or an axis whose values are this level's."""
    return _TITLES.get(name, name.replace("_", " "))


def named(cell: Cell, names: Iterable[str]) -> str:
    """What the cell is in these levels: `standby (fork), every 10 s`."""
    present = [name for name in names if name in cell.levels or (name == SYSTEM and cell.system)]
    return ", ".join(one(cell, name) for name in present) or "all"


def one(cell: Cell, name: str) -> str:
    if name == SYSTEM:
        return system(cell.system)
    return level(name, cell.levels.get(name), cell.levels)


def whole(cell: Cell) -> str:
    """Everything that tells the cell from others."""
    words = levels(cell.levels)
    return ", ".join(each for each in (system(cell.system) if cell.system else "", words) if each)


def levels(of: Mapping[str, Level]) -> str:
    """All of them; how many users there are is said with how many are active."""
    names = [name for name in of if not (name == "users" and "active" in of)]
    return ", ".join(level(name, of[name], of) for name in names)


def operation(name: str) -> str:
    return _OPERATIONS.get(name, name)


def in_order(operations: Iterable[str]) -> list[str]:
    """As a session goes; unknown ones last, by name."""
    known = list(_OPERATIONS)
    return sorted(
        set(operations), key=lambda name: (known.index(name) if name in known else len(known), name)
    )


def role(name: str) -> str:
    return _ROLES.get(name, name.replace("-", " "))


def number(value: Level) -> str:
    """`1,600`, `0.5`; words as they are."""
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,g}"


def significant(value: float, like: float | None = None) -> str:
    """Three digits that mean something: `1,012`, `345`, `34.5`, `3.45`, `0.345`, `0.034`.

    As many decimals as a number `like` another has, so that the ends of an interval look like its value.
    """
    size = abs(value if like is None else like)
    if size == 0 and value == 0:
        return "0"
    decimals = next((number for number, least in enumerate((100, 10, 1)) if size >= least), 3)
    return f"{value:,.{decimals}f}"
