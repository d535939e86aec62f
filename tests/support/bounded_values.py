"""Values at the bound of a type and just over it, made from what msgspec knows of the type."""

# ruff: noqa: C901, PLR0911, PLR0912  # one case for each type that msgspec knows

import math
import re
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Raw, inspect
from msgspec.inspect import Metadata, Type

FINITE: Final = 1e308
LONG_LIST: Final = 100_000
"""Longer lists are not made: that they have a bound is seen without."""
_FILLS: Final = ("a", "0", "A", "https://a", "a_")
_HIDDEN: Final = ("\x1b[31m", "\n", "\x85", "\u202e", "\u200b")


def unbounded(kind: Type, where: str, *, numbers_only: bool = False) -> Iterator[str]:
    """The places in a type, as paths, where a value has no bound."""
    kind = plain(kind)
    match kind:
        case inspect.IntType():
            if None in {_first(kind.ge, kind.gt), _first(kind.le, kind.lt)}:
                yield f"{where}: int"
        case inspect.FloatType():
            if None in {_first(kind.ge, kind.gt), _first(kind.le, kind.lt)}:
                yield f"{where}: float"
        case inspect.StrType() | inspect.BytesType():
            if kind.max_length is None and not numbers_only and not _exact(kind):
                yield f"{where}: {type(kind).__name__}"
        case inspect.ListType() | inspect.VarTupleType() | inspect.SetType():
            if kind.max_length is None and not numbers_only:
                yield f"{where}: list"
            yield from unbounded(kind.item_type, f"{where}[]", numbers_only=numbers_only)
        case inspect.DictType():
            if kind.max_length is None and not numbers_only and not _names(kind.key_type):
                yield f"{where}: dict"
            yield from unbounded(kind.key_type, f"{where} key", numbers_only=numbers_only)
            yield from unbounded(kind.value_type, f"{where}{{}}", numbers_only=numbers_only)
        case inspect.TupleType():
            for number, each in enumerate(kind.item_types):
                yield from unbounded(each, f"{where}[{number}]", numbers_only=numbers_only)
        case inspect.UnionType():
            for each in kind.types:
                yield from unbounded(each, where, numbers_only=numbers_only)
        case inspect.StructType():
            for field in kind.fields:
                name = f"{where}.{field.name}"
                yield from unbounded(field.type, name, numbers_only=numbers_only)
        case inspect.DateTimeType():
            if kind.tz is not True:
                yield f"{where}: time without a zone"
        case (
            inspect.EnumType()
            | inspect.LiteralType()
            | inspect.BoolType()
            | inspect.NoneType()
            | inspect.RawType()  # as long as what it is a part of, and read again
        ):
            pass
        case inspect.CustomType() if numbers_only:  # paths of an operator's file
            pass
        case _:
            yield f"{where}: {type(kind).__name__}"


def plain(kind: Type) -> Type:
    return plain(kind.type) if isinstance(kind, Metadata) else kind


def _exact(kind: Type) -> bool:
    """Whether the pattern fixes the length."""
    pattern = getattr(kind, "pattern", None) or ""
    return re.fullmatch(r"\^\[[^]]+\]\{\d+\}\$\(\?!\\n\)", pattern) is not None


def _names(kind: Type) -> bool:
    return isinstance(plain(kind), inspect.EnumType)


def _first(*values: Any) -> Any:
    return next((each for each in values if each is not None), None)


def at_bound(kind: Type) -> Any:
    """A value that is as large as the type lets it be; lists have one element, or none where they are long."""
    kind = plain(kind)
    match kind:
        case inspect.IntType():
            return _first(kind.le, None if kind.lt is None else kind.lt - 1)
        case inspect.FloatType():
            return float(_first(kind.le, kind.lt))
        case inspect.StrType():
            return _text(kind)
        case inspect.BytesType():
            return bytes(kind.max_length or 0)
        case inspect.ListType() | inspect.VarTupleType():
            return [at_bound(kind.item_type)] * max(1, kind.min_length or 0)
        case inspect.DictType():
            return {at_bound(kind.key_type): at_bound(kind.value_type)}
        case inspect.TupleType():
            return [at_bound(each) for each in kind.item_types]
        case inspect.UnionType():
            return at_bound(kind.types[0])
        case inspect.StructType():
            fields = {each.encode_name: at_bound(each.type) for each in kind.fields}
            return fields | ({kind.tag_field: kind.tag} if kind.tag_field else {})
        case inspect.EnumType():
            return next(iter(kind.cls)).value
        case inspect.LiteralType():
            return kind.values[0]
        case inspect.BoolType():
            return True
        case inspect.NoneType():
            return None
        case inspect.RawType():
            return Raw(b"{}")
        case inspect.DateTimeType():
            return "2030-01-01T00:00:00Z"
        case _:
            raise AssertionError(f"no value at the bound of {kind}")


def over_bound(kind: Type, where: str) -> Iterator[tuple[str, Any]]:
    """Where, and a value that breaks one bound there and is at the bound everywhere else."""
    kind = plain(kind)
    match kind:
        case inspect.IntType():
            most, least = at_bound(kind), _first(kind.ge, kind.gt)
            yield from ((where, each) for each in (most + 1, 10**26, 10**4300, least - 1))
        case inspect.FloatType():
            values = (2 * at_bound(kind) + 1, math.inf, -math.inf, math.nan, FINITE)
            yield from ((where, each) for each in values)
        case inspect.StrType():
            yield from ((where, each) for each in _long_texts(kind))
        case inspect.BytesType():
            yield where, bytes((kind.max_length or 0) + 1)
        case inspect.ListType() | inspect.VarTupleType():
            yield from ((at, [each]) for at, each in over_bound(kind.item_type, f"{where}[]"))
            if kind.max_length is not None and kind.max_length <= LONG_LIST:
                yield f"{where} length", [at_bound(kind.item_type)] * (kind.max_length + 1)
        case inspect.DictType():
            key, value = at_bound(kind.key_type), at_bound(kind.value_type)
            yield from ((at, {each: value}) for at, each in over_bound(kind.key_type, f"{where}"))
            yield from ((at, {key: each}) for at, each in over_bound(kind.value_type, f"{where}"))
            if kind.max_length is not None and not _names(kind.key_type):
                yield f"{where} length", {f"k{n}": value for n in range(kind.max_length + 1)}
        case inspect.TupleType():
            whole = at_bound(kind)
            for number, each in enumerate(kind.item_types):
                for at, bad in over_bound(each, f"{where}[{number}]"):
                    yield at, [*whole[:number], bad, *whole[number + 1 :]]
        case inspect.UnionType():
            for each in kind.types:
                yield from over_bound(each, where)
        case inspect.StructType():
            whole = at_bound(kind)
            for field in kind.fields:
                for at, bad in over_bound(field.type, f"{where}.{field.name}"):
                    yield at, whole | {field.encode_name: bad}
        case inspect.EnumType() | inspect.LiteralType():
            yield where, "unheard of"
        case _:
            pass


def _text(kind: inspect.StrType) -> str:
    lengths = [kind.max_length] if kind.max_length else [64]
    for length in lengths:
        for fill in _FILLS:
            text = fill + fill[-1] * (length - len(fill))
            if kind.pattern is None or re.search(kind.pattern, text):
                return text
    raise AssertionError(f"no text fits {kind}")


def _long_texts(kind: inspect.StrType) -> Iterator[str]:
    whole = _text(kind)
    yield whole + whole[-1]
    if kind.pattern is not None:
        yield whole[:-1] + "\n"
        yield from (each for each in _HIDDEN if len(each) <= len(whole))
