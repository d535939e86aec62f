"""Checks of parsed data, put together from small ones: which keys a record may have, and what each may hold.

A check takes a path and a value and yields findings. msgspec is not used for this because it stops at the first error,
and a person who repairs a file wants to see all of them.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

from attestation.findings import Finding

Check = Callable[[str, object], Iterator[Finding]]
_SHOWN: Final = 60


def shown(value: object) -> str:
    """A value as a message quotes it: cut, because it may be a whole certificate."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def anything(_path: str, _value: object) -> Iterator[Finding]:
    """For what the documentation names and does not describe."""
    yield from ()


def text(path: str, value: object) -> Iterator[Finding]:
    if not isinstance(value, str):
        yield Finding(path, "not_text", f"expected text, not {shown(value)}; quote it")


def flag(path: str, value: object) -> Iterator[Finding]:
    if not isinstance(value, bool):
        yield Finding(path, "not_bool", f"expected true or false, not {shown(value)}")


def whole(least: int, most: int) -> Check:
    """A whole number from `least` to `most`."""

    def check(path: str, value: object) -> Iterator[Finding]:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            yield Finding(
                path,
                "not_a_number",
                f"expected a whole number from {least} to {most}, not {shown(value)}",
            )

    return check


def matching(pattern: str, code: str, expected: str) -> Check:
    """Text that matches the whole `pattern`; else a finding with `code` that says what was `expected`."""
    compiled = re.compile(pattern, re.DOTALL)

    def check(path: str, value: object) -> Iterator[Finding]:
        if not isinstance(value, str):
            yield from text(path, value)
        elif not compiled.fullmatch(value):
            yield Finding(path, code, f"expected {expected}, not {shown(value)}")

    return check


def hexadecimal(size: int) -> Check:
    """`size` bytes as hex digits."""
    return matching(f"[0-9a-fA-F]{{{2 * size}}}", "bad_hex", f"{size} bytes as hex digits")


def one_of(values: Collection[str]) -> Check:
    known = ", ".join(sorted(values))

    def check(path: str, value: object) -> Iterator[Finding]:
        if not isinstance(value, str) or value not in values:
            yield Finding(path, "unknown_value", f"unknown {shown(value)}; known are {known}")

    return check


def list_of(item: Check, *, least: int = 0) -> Check:
    def check(path: str, value: object) -> Iterator[Finding]:
        if not isinstance(value, list):
            yield Finding(path, "not_a_list", f"expected a list, not {shown(value)}")
            return
        if len(value) < least:
            yield Finding(path, "too_few", f"expected at least {least} entries")
        for index, each in enumerate(value):
            yield from item(f"{path}[{index}]", each)

    return check


def map_of(item: Check) -> Check:
    """A mapping with any keys."""

    def check(path: str, value: object) -> Iterator[Finding]:
        if not isinstance(value, dict):
            yield Finding(path, "not_a_mapping", f"expected a mapping, not {shown(value)}")
            return
        for key, each in value.items():
            yield from item(f"{path}.{key}", each)

    return check


def by_type(cases: Mapping[type, Check], expected: str) -> Check:
    """For what may be written in several ways: the check that belongs to the value's type."""

    def check(path: str, value: object) -> Iterator[Finding]:
        case = cases.get(type(value))
        if case is None:
            yield Finding(path, "wrong_type", f"expected {expected}, not {shown(value)}")
        else:
            yield from case(path, value)

    return check


def record(keys: Mapping[str, Check], required: Collection[str] = ()) -> Check:
    """A mapping with these keys and no others."""

    def check(path: str, value: object) -> Iterator[Finding]:
        if not isinstance(value, dict):
            yield Finding(path, "not_a_mapping", f"expected a mapping, not {shown(value)}")
            return
        for key in required:
            if key not in value:
                yield Finding(_under(path, key), "missing_key", f"{key!r} is needed")
        for key, each in value.items():
            where = _under(path, str(key))
            if key in keys:
                yield from keys[key](where, each)
            else:
                yield Finding(where, "unknown_key", f"unknown key {shown(key)}")

    return check


def _under(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
