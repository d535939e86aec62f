"""What one end says the other understands, and what nobody would say is refused."""

import pytest

from attestation.evidence import DCAP_V3, Evidence
from attestation.issuing.messages import (
    LONGEST,
    Answer,
    Begin,
    Challenge,
    Issued,
    Kept,
    LastSeen,
    Left,
    Opened,
    Proof,
    Quoted,
    QuoteWanted,
    Record,
    Refused,
    Request,
    Seen,
    Source,
    encode,
    read_answer,
    read_request,
)
from attestation.signed_policy import SignedPolicy
from standby.decode import UnreadableError
from standby.hardening import Layer, Outcome
from standby.ids import Generation, Uid
from tests.unit.attestation.issuing.world import World, issued, judged

_ALICE, _FIRST = Uid("alice"), Generation(1)
_EVIDENCE = Evidence(DCAP_V3, b"quote")
_REQUESTS: list[Request] = [
    Begin({Layer.SECCOMP: Outcome.APPLIED}),
    Proof(b"key", b"claims", _EVIDENCE),
    Proof(b"key", b"claims", None),
    QuoteWanted(bytes(64)),
    LastSeen(_ALICE),
    Opened(_ALICE, _FIRST),
    Left(_ALICE, _FIRST, bytes(32)),
]
_ANSWERS: list[Answer] = [
    Challenge(bytes(32), Source.PLATFORM),
    Issued((b"first", b"second"), b"{}"),
    Issued((b"first",), None),
    Issued((b"first",), None, SignedPolicy(b"version = 1\n", bytes(64))),
    Refused("stale_nonce", "ask for another one"),
    Quoted(_EVIDENCE),
    Seen(None),
    Seen(Record(_FIRST, None)),
    Seen(Record(_FIRST, bytes(32))),
    Kept(),
]


@pytest.mark.parametrize("message", _REQUESTS, ids=lambda each: type(each).__name__)
def test_a_request_arrives_as_it_was_sent(message: Request) -> None:
    assert read_request(encode(message)) == message


@pytest.mark.parametrize("message", _ANSWERS, ids=lambda each: type(each).__name__)
def test_an_answer_arrives_as_it_was_sent(message: Answer) -> None:
    assert read_answer(encode(message)) == message


@pytest.mark.parametrize(
    "message",
    [
        *_ANSWERS,
        QuoteWanted(bytes(63)),
        Proof(bytes(1025), b"", None),
        Proof(b"", bytes(4097), None),
        LastSeen(Uid("../alice")),
        Opened(_ALICE, Generation(0)),
        Left(_ALICE, _FIRST, bytes(31)),
    ],
)
def test_what_no_server_would_say_is_refused(message: Request | Answer) -> None:
    with pytest.raises(UnreadableError):
        read_request(encode(message))


def test_the_largest_answer_fits_into_a_packet(world: World) -> None:
    answer = issued(judged(world.issuer(), world.server()))
    assert 10_000 < len(encode(answer)) < LONGEST / 4
