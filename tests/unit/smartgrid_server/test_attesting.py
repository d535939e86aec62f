"""When a certificate is renewed, what happens when it is not, and how many may ask for evidence at once."""

import asyncio
import base64
import datetime as dt
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import pytest

from attestation.errors import EvidenceUnavailableError
from attestation.evidence import DCAP_V3, Evidence
from attestation.issuer import Credential, ServerIssuer
from attestation.issuing.asking import Holder
from attestation.issuing.channel import ChannelError, RefusedError
from attestation.issuing.messages import Proof
from smartgrid_server.attesting import LINE, Attesting, AttestRequest, EvidenceBusyError, pause
from smartgrid_server.messages import LoginChallenge
from smartgrid_server.tls import Blanks, ServerTls
from standby import deadlines, pki
from standby.hardening import Layer, Outcome
from standby.identity import Identity, Role
from standby.ids import BootId, Uid
from tests.support.certificates import Certificates
from tests.support.waiting import eventually

ROOT: Final = Path(__file__).parents[3]
KEY: Final = pki.new_key()
ROOT_AUTHORITY: Final = pki.Authority.create("test servers", dt.timedelta(days=1))
EVIDENCE: Final = Evidence(DCAP_V3, b"quote")
LOGIN: Final = LoginChallenge(boot_id=BootId("0a" * 8), nonce="0b" * 32)


def credential(seconds: float, *, evidence: Evidence | None = EVIDENCE) -> Credential:
    """One that has just begun."""
    usage = pki.Usage(server=True)
    life = dt.timedelta(seconds=seconds)
    identity = Identity(Role.INSTANCE, Uid("0a" * 8))
    own = ROOT_AUTHORITY.certify(KEY.public_key(), identity, usage, life)
    return Credential(
        key=KEY,
        chain=(own,),
        evidence=evidence,
        claims=b"claims",
        collateral=b"{}",
        begins=own.not_valid_after_utc - life,
    )


class PlayedHolder(Holder):
    """Gives what it was told to give; the last of it again and again."""

    def __init__(self, *gives: Credential | Exception) -> None:
        self.gives = list(gives)
        self.asked = 0
        self.proving = 0
        self.may_prove = asyncio.Event()

    async def obtain(self, hardening: Mapping[Layer, Outcome]) -> Credential:  # noqa: ARG002  # the holder's
        self.asked += 1
        given = self.gives.pop(0) if len(self.gives) > 1 else self.gives[0]
        if isinstance(given, Exception):
            raise given
        return given

    async def prove(self, nonce: bytes) -> Proof:
        self.proving += 1
        await self.may_prove.wait()
        if isinstance(self.gives[0], Exception):
            raise self.gives[0]
        return Proof(b"key", b"claims about " + nonce, EVIDENCE)


@pytest.mark.parametrize(
    ("age", "failed", "expected"),
    [
        (0, False, deadlines.ATTEST_CLOCK),
        (1180, False, 20),
        (1300, False, 0.05),
        (1300, True, deadlines.ATTEST_RETRY),
        (1790, True, 10),
        (1900, True, deadlines.ATTEST_RETRY),
    ],
)
def test_how_long_until_the_next_look(age: float, failed: bool, expected: float) -> None:
    half_an_hour = credential(1800)
    now = half_an_hour.begins + dt.timedelta(seconds=age)
    assert pause(half_an_hour, now, failed=failed) == pytest.approx(expected)


async def test_a_certificate_is_renewed_when_two_thirds_of_its_life_are_over() -> None:
    first, second = credential(1800), credential(1800)
    holder = PlayedHolder(first, second)
    attesting = await Attesting.begun(holder, {})
    before = attesting.issuer.certificate(Uid("anna"))
    clock = Clock(first.renew_at - dt.timedelta(seconds=0.2))
    keeping = asyncio.create_task(attesting.keep({}, lambda: True, never, clock))
    await eventually(lambda: clock.looks > 0, "it looks at the clock")
    assert holder.asked == 1
    clock.now = first.renew_at
    await eventually(lambda: holder.asked == 2, "it asks for another certificate")
    assert attesting.issuer.certificate(Uid("anna")) is not before
    keeping.cancel()


@pytest.mark.parametrize(
    "error",
    [RefusedError("not_admitted", "the policy has changed"), ChannelError("closed")],
    ids=["refused", "channel lost"],
)
async def test_a_server_that_cannot_renew_ends_with_its_certificate_unless_it_is_used(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "ATTEST_RETRY", 0.05)
    first = credential(1800)
    holder = PlayedHolder(first, error)
    attesting = await Attesting.begun(holder, {})
    clock, ended, idle = Clock(first.renew_at), asyncio.Event(), asyncio.Event()
    keeping = asyncio.create_task(attesting.keep({}, idle.is_set, ended.set, clock))
    await eventually(lambda: holder.asked > 3, "it tries again")
    clock.now = first.ends
    asked = holder.asked
    await eventually(lambda: holder.asked > asked + 2, "it goes on trying while it is used")
    assert not ended.is_set()
    idle.set()
    async with asyncio.timeout(5):
        await keeping
    assert ended.is_set()


async def test_a_clock_that_is_before_the_beginning_makes_a_renewal_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deadlines, "ATTEST_CLOCK", 0.05)
    first, second = credential(1800), credential(1800)
    holder = PlayedHolder(first, second)
    attesting = await Attesting.begun(holder, {})
    clock = Clock(first.begins - dt.timedelta(seconds=1))
    keeping = asyncio.create_task(attesting.keep({}, lambda: True, never, clock))
    await eventually(lambda: holder.asked == 2, "a clock before the beginning is noticed")
    keeping.cancel()


async def test_a_clock_that_is_set_back_between_two_looks_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deadlines, "ATTEST_CLOCK", 0.05)
    first, second = credential(1800), credential(1800)
    holder = PlayedHolder(first, second)
    attesting = await Attesting.begun(holder, {})
    clock = Clock(first.begins + dt.timedelta(seconds=1000))
    keeping = asyncio.create_task(attesting.keep({}, lambda: True, never, clock))
    await eventually(lambda: clock.looks > 4, "it looks at the clock")
    assert holder.asked == 1
    clock.now -= dt.timedelta(seconds=400)
    await eventually(lambda: holder.asked == 2, "it asks for another certificate")
    looks = clock.looks
    await eventually(lambda: clock.looks > looks + 4, "it looks at the clock")
    assert holder.asked == 2
    keeping.cancel()


async def test_a_server_whose_certificate_is_of_the_future_ends_unless_it_is_renewed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deadlines, "ATTEST_CLOCK", 0.05)
    first = credential(1800)
    attesting = await Attesting.begun(PlayedHolder(first, ChannelError("closed")), {})
    clock, ended = Clock(first.begins - pki.CLOCK_SKEW - dt.timedelta(seconds=5)), asyncio.Event()
    async with asyncio.timeout(5):
        await attesting.keep({}, lambda: True, ended.set, clock)
    assert ended.is_set()


async def test_a_late_renewal_is_as_good_as_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "ATTEST_RETRY", 0.05)
    first, last = credential(1800), credential(3600)
    holder = PlayedHolder(first, RefusedError("busy", "later"), last)
    attesting = await Attesting.begun(holder, {})
    keeping = asyncio.create_task(attesting.keep({}, lambda: True, never, Clock(first.renew_at)))
    await eventually(lambda: holder.asked == 3, "it asks until it gets one")
    shown = attesting.issuer.certificate(Uid("anna")).chain_pem
    assert shown.endswith(pki.certificate_pem(last.chain[0]))
    keeping.cancel()


async def test_a_server_with_an_authority_from_files_has_nothing_to_renew_or_show(
    certificates: Certificates,
) -> None:
    by_hand = ServerIssuer.load(certificates.issuer_certificate, certificates.issuer_key)
    attesting = Attesting(by_hand)
    await attesting.keep({}, lambda: True, never)
    with pytest.raises(EvidenceUnavailableError, match="not attested"):
        await attesting.show(bytes(32), LOGIN)


async def test_only_a_few_may_wait_for_evidence() -> None:
    holder = PlayedHolder(credential(1800))
    attesting = await Attesting.begun(holder, {})
    waiting = [asyncio.create_task(attesting.show(bytes([n]) * 16, LOGIN)) for n in range(LINE)]
    await eventually(lambda: holder.proving == LINE, "as many as may are waiting")
    with pytest.raises(EvidenceBusyError):
        await attesting.show(bytes(16), LOGIN)
    holder.may_prove.set()
    shown = await asyncio.gather(*waiting)
    assert [each.claims[-1] for each in shown] == [0, 1, 2]
    assert (await attesting.show(b"n" * 16, LOGIN)).evidence == EVIDENCE.data


async def test_the_wrappers_words_are_not_for_clients() -> None:
    holder = PlayedHolder(credential(1800), RefusedError("x", "a path of the operator's"))
    attesting = await Attesting.begun(holder, {})
    holder.may_prove.set()
    with pytest.raises(EvidenceUnavailableError) as refused:
        await attesting.show(bytes(16), LOGIN)
    assert "operator" not in str(refused.value)


@pytest.mark.parametrize(("size", "good"), [(15, False), (16, True), (64, True), (65, False)])
def test_a_challenge_is_long_enough_to_be_random_and_not_longer(size: int, good: bool) -> None:
    body = msgspec.json.encode({"challenge": base64.b64encode(bytes(size)).decode()})
    if good:
        assert msgspec.json.decode(body, type=AttestRequest).challenge == bytes(size)
    else:
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(body, type=AttestRequest)


def test_a_renewal_changes_the_context_of_the_next_handshake(certificates: Certificates) -> None:
    issuer = ServerIssuer.of(credential(1800))
    tls = ServerTls(issuer, Blanks.read(certificates.users_ca), lambda _uid: True)
    before = tls.context(Uid("anna"))
    assert tls.context(Uid("anna")) is before
    issuer.replace(credential(1800))
    assert tls.context(Uid("anna")) is not before


def test_a_waiting_server_has_loaded_nothing_that_only_verifiers_need() -> None:
    """Each of a hundred waiting servers would pay for it, and none of it is its business."""
    program = (
        "import sys, smartgrid_server.template\n"
        "from smartgrid_server.rehearsal import rehearse\n"
        "rehearse()\n"
        "print(*(name for name in sys.modules if name.partition('.')[0] in {'attestation', 'dcap_qvl'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    loaded = set(done.stdout.split())
    verifiers = {
        "verify",
        "dcap",
        "pccs",
        "appraisal",
        "trust",
        "lint",
        "verdicts",
        "policy",
        "claims",
    }
    wrappers = {
        "soft",
        "audit",
        "measure",
        "scone",
        "sealing",
        "issuing.issuer",
        "issuing.freshness",
    }
    assert "attestation.issuing.asking" in loaded, done.stderr
    assert not loaded & {"dcap_qvl", *(f"attestation.{name}" for name in verifiers | wrappers)}


class Clock:
    def __init__(self, now: dt.datetime) -> None:
        self.now = now
        self.looks = 0

    def __call__(self) -> dt.datetime:
        self.looks += 1
        return self.now


def never() -> None:
    raise AssertionError("the server has no reason to end")
