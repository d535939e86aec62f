"""Every number, text, list and nesting of everything that is read from elsewhere has a bound, and it holds."""

from typing import Any

import msgspec
import pytest
from msgspec import inspect

from attestation.issuing.messages import Answer, Request
from standby import decode
from standby.decode import UnreadableError
from tests.support.bounded_values import at_bound, over_bound, unbounded
from tests.support.message_types import OPERATORS, OWN, read_types

PEERS = sorted(read_types() - OWN - OPERATORS, key=str)
DEEP = 200_000


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind))


def test_the_types_that_are_read_were_found() -> None:
    names = {_name(each) for each in PEERS}
    assert {"Report", "ReportReply", "LoginRequest", "Login", "ClaimRecord", "Forked"} <= names
    assert {Request, Answer} <= set(PEERS)


@pytest.mark.parametrize("kind", PEERS, ids=_name)
def test_every_value_of_a_message_has_a_bound(kind: Any) -> None:
    assert list(unbounded(inspect.type_info(kind), _name(kind))) == []


@pytest.mark.parametrize("kind", sorted(OPERATORS, key=str), ids=_name)
def test_every_number_of_an_operators_file_has_a_bound(kind: Any) -> None:
    assert list(unbounded(inspect.type_info(kind), _name(kind), numbers_only=True)) == []


def test_a_type_without_bounds_would_be_seen() -> None:
    class Loose(msgspec.Struct):
        number: int
        share: float
        text: str
        many: list[bytes]
        named: dict[str, bool]
        anything: object

    places = list(unbounded(inspect.type_info(Loose), "Loose"))
    assert [each.split(": ")[0] for each in places] == [
        "Loose.number",
        "Loose.share",
        "Loose.text",
        "Loose.many",
        "Loose.many[]",
        "Loose.named",
        "Loose.named key",
        "Loose.anything",
    ]


@pytest.mark.parametrize("kind", PEERS, ids=_name)
def test_a_message_with_every_value_at_its_bound_is_read(kind: Any) -> None:
    whole = at_bound(inspect.type_info(kind))
    decode.value(whole, kind)
    decode.json(msgspec.json.encode(whole), kind)


@pytest.mark.parametrize("kind", [Request, Answer], ids=["Request", "Answer"])
def test_a_packet_with_every_value_at_its_bound_is_read(kind: Any) -> None:
    union = inspect.type_info(kind)
    assert isinstance(union, inspect.UnionType)
    for each in union.types:
        decode.packet(msgspec.msgpack.encode(at_bound(each)), kind)


@pytest.mark.parametrize("kind", PEERS, ids=_name)
def test_a_message_with_one_value_over_its_bound_is_refused_in_one_sentence(kind: Any) -> None:
    for where, bad in over_bound(inspect.type_info(kind), _name(kind)):
        with pytest.raises(UnreadableError) as refused:
            decode.value(bad, kind)
        text = str(refused.value)
        assert 0 < len(text) <= 300, where
        assert text.isprintable(), where


@pytest.mark.parametrize("kind", PEERS, ids=_name)
@pytest.mark.parametrize(
    "deep",
    [b'{"unknown":' + b"[" * DEEP, b'{"unknown":' + b'{"":' * DEEP],
    ids=["lists", "objects"],
)
def test_deep_json_in_an_unknown_field_is_refused_in_one_sentence(kind: Any, deep: bytes) -> None:
    with pytest.raises(UnreadableError):
        decode.json(deep, kind)


@pytest.mark.parametrize("kind", [Request, Answer], ids=["Request", "Answer"])
def test_a_deep_packet_is_refused_in_one_sentence(kind: Any) -> None:
    with pytest.raises(UnreadableError, match="too deeply"):
        decode.packet(b"\x82\xa7unknown" + b"\x91" * DEEP, kind)


def test_deep_toml_is_refused_in_one_sentence() -> None:
    with pytest.raises(UnreadableError, match="too deeply"):
        decode.toml(b"x = " + b"[" * DEEP, msgspec.Struct)


def test_a_number_of_more_digits_than_python_reads_is_refused_in_one_sentence() -> None:
    with pytest.raises(UnreadableError):
        decode.toml(b"x = " + b"9" * 5000, msgspec.Struct)
