"""Whatever a server answers, a verifier admits nothing but the truth, and raises nothing but its own error."""

import dataclasses
import datetime as dt
import tempfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attestation import trust
from smartgrid_client import errors
from smartgrid_client.admission import Admitted
from smartgrid_client.messages import Shown
from smartgrid_client.verifier import Challenge, Verifier
from standby import pki
from tests.support.attested_stub import CHANGED, Prover

NOW = dt.datetime.now(dt.UTC).timestamp()
CHALLENGE = Challenge(bytes(range(32)), NOW)


@cache
def prover() -> Prover:
    return Prover.create(NOW)


@cache
def verifier() -> Verifier:
    with tempfile.TemporaryDirectory() as directory:
        return Verifier(trust.load(prover().trusted_in(Path(directory))))


@cache
def certificate() -> bytes:
    return prover().certificate(pki.Authority.create("test", dt.timedelta(hours=1)), "alice")


@cache
def truth() -> tuple[Shown, Admitted]:
    answer = prover().reply(CHALLENGE.nonce)
    return answer, verifier().judge(CHALLENGE, answer, certificate(), NOW)


def judged(answer: Shown, shown_certificate: bytes) -> Admitted | None:
    try:
        return verifier().judge(CHALLENGE, answer, shown_certificate, NOW)
    except errors.NotAttestedError:
        return None


@settings(deadline=None)
@given(field=st.sampled_from(["evidence", "claims", "collateral"]), data=st.data())
def test_a_damaged_answer_is_refused_or_says_the_same(field: str, data: st.DataObject) -> None:
    """The same, because the text of a certificate, say, can be written in more than one way."""
    answer, admitted = truth()
    raw = bytearray(getattr(answer, field))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    changed = {each: getattr(answer, each) for each in answer.__struct_fields__}
    changed[field] = bytes(raw)
    assert judged(Shown(**changed), certificate()) in {None, admitted}


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@settings(deadline=None)
@given(data=st.data())
def test_a_damaged_certificate_is_refused_or_has_the_same_key(data: st.DataObject) -> None:
    answer, admitted = truth()
    raw = bytearray(certificate())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    assert judged(answer, bytes(raw)) in {None, admitted}


@given(st.binary(max_size=200), st.binary(max_size=200), st.none() | st.binary(max_size=200))
def test_noise_is_refused(evidence: bytes, claims: bytes, collateral: bytes | None) -> None:
    noise = Shown(format="sgx-dcap-v3", evidence=evidence, claims=claims, collateral=collateral)
    assert judged(noise, certificate()) is None


@settings(deadline=None)
@given(st.lists(st.sampled_from(["nonce", "key", "platform", "process", "collateral"]), min_size=1))
def test_one_lie_is_enough_to_be_refused(lies: list[str]) -> None:
    other, liar = foreign(), prover()
    for lie in {*lies} - {"nonce"}:
        liar = _with(liar, lie, other)
    nonce = bytes(32) if "nonce" in lies else CHALLENGE.nonce
    with pytest.raises(errors.NotAttestedError):
        verifier().judge(CHALLENGE, liar.reply(nonce), certificate(), NOW)


@cache
def foreign() -> Prover:
    return dataclasses.replace(Prover.create(NOW), process=CHANGED)


def _with(prover: Prover, lie: str, other: Prover) -> Prover:
    match lie:
        case "key":
            return dataclasses.replace(prover, key=other.key)
        case "platform":
            return dataclasses.replace(prover, platform=other.platform)
        case "process":
            return dataclasses.replace(prover, process=other.process)
        case _:
            return dataclasses.replace(prover, collateral=other.collateral)
