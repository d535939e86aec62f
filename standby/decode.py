"""The one place where bytes from elsewhere become messages: from peers, from files, from the other end of a socket.

Whatever is wrong with them is one error of one sentence, `UnreadableError`: no JSON (MessagePack, TOML) at all, another
type than expected, a value out of its range, a text that is no UTF-8, or nesting so deep that the reader would run out
of stack. The caller says what that means where it stands. Bounds of numbers, texts and lists are at the types; a test
walks all types that are decoded here and fails for one without.

The linter forbids the readers of libraries elsewhere. CBOR has its own place with its own limits
(`attestation.binding`), and settings come from the process's own environment (`standby.settings`).

Not bounded here: the number of bytes. Whoever reads them from a peer bounds that before.
"""

# ruff: noqa: ANN401  # a kind may be a union, which is no `type`, so what is read of it is checked by the caller

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, TypeVar, overload

import msgspec

from standby.text import PATTERN, printable

T = TypeVar("T")
_LONGEST_REASON: Final = 300


class UnreadableError(ValueError):
    """The bytes are not the message that was expected; the text says where and why, in one printable sentence."""


@overload
def json(raw: bytes | bytearray | memoryview | str | msgspec.Raw, kind: type[T]) -> T: ...
@overload
def json(raw: bytes | bytearray | memoryview | str | msgspec.Raw, kind: Any) -> Any: ...
def json(raw: bytes | bytearray | memoryview | str | msgspec.Raw, kind: Any) -> Any:
    """The message of this type that the JSON text is.

    Raises:
        UnreadableError: it is none.
    """
    return _read(_json_reader(kind), raw)


@overload
def packet(raw: bytes, kind: type[T]) -> T: ...
@overload
def packet(raw: bytes, kind: Any) -> Any: ...
def packet(raw: bytes, kind: Any) -> Any:
    """The message of this type that is written as MessagePack.

    Raises:
        UnreadableError: it is none.
    """
    return _read(_packet_reader(kind), raw)


def toml(raw: bytes, kind: type[T]) -> T:
    """The record of this type that the TOML text is.

    Raises:
        UnreadableError: it is none.
    """

    def reader(text: bytes) -> T:
        return msgspec.toml.decode(text, type=kind)  # noqa: TID251

    return _read(reader, raw)


def fields(texts: Mapping[str, str], kind: type[T]) -> T:
    """The message of this type whose fields are given as texts, as those of a query are.

    Raises:
        UnreadableError: it is none.
    """

    def reader(given: Mapping[str, str]) -> T:
        return msgspec.convert(given, kind, strict=False)  # noqa: TID251

    return _read(reader, texts)


@overload
def value(given: object, kind: type[T]) -> T: ...
@overload
def value(given: object, kind: Any) -> Any: ...
def value(given: object, kind: Any) -> Any:
    """What is given, as a value of this type.

    Raises:
        UnreadableError: it is none.
    """

    def reader(plain: object) -> object:
        return msgspec.convert(plain, kind)  # noqa: TID251

    return _read(reader, given)


def checked_json(message: msgspec.Struct) -> bytes:
    """The message in JSON, which its receiver will be able to read.

    Raises:
        UnreadableError: a value is not within the bounds of its type, or a text has no UTF-8.
    """
    try:
        raw = msgspec.json.encode(message)
    except (ValueError, OverflowError) as error:
        raise UnreadableError(printable(str(error), _LONGEST_REASON)) from error
    json(raw, type(message))
    return raw


RawT = TypeVar("RawT")


def _read(reader: Callable[[RawT], T], raw: RawT) -> T:
    try:
        return reader(raw)
    except RecursionError as error:
        raise UnreadableError("it is nested too deeply") from error
    except (
        ValueError
    ) as error:  # msgspec's errors, UnicodeDecodeError, and Python's limit of digits
        raise UnreadableError(printable(_readable(str(error)), _LONGEST_REASON)) from error


def _readable(reason: str) -> str:
    return reason.replace(f"`str` matching regex {PATTERN!r}", "`str` without control characters")


# a reader is made once for each type: finding out what a type is takes longer than reading a message


@cache
def _json_reader(kind: Any) -> Callable[[Any], Any]:
    return msgspec.json.Decoder(kind).decode  # noqa: TID251


@cache
def _packet_reader(kind: Any) -> Callable[[Any], Any]:
    return msgspec.msgpack.Decoder(kind).decode  # noqa: TID251
