"""A server gets nothing but a challenge until it has proved what it is, on each connection anew."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from attestation import trust
from attestation.claims import TcbStatus
from attestation.collateral import Collateral
from attestation.soft.collateral import Standing, issue
from smartgrid_client import errors, meter, requests, wire
from smartgrid_client.admission import Difference
from smartgrid_client.api import SmartGridClient
from smartgrid_client.batches import BatchSize, batches
from smartgrid_client.connection import Address
from smartgrid_client.credentials import Credentials
from smartgrid_client.generator import generate
from smartgrid_client.messages import Alarm, Metric
from smartgrid_client.requests import Operation
from smartgrid_client.schedule import Schedule
from smartgrid_client.verified import UnverifiedConnectionError, VerifiedConnector
from smartgrid_client.verifier import Verifier
from standby.ids import parse_uid
from standby.tls import client_context
from tests.integration.smartgrid_client.conftest import UID, AttestedPlace, attested_place
from tests.support.attested_stub import (
    CHANGED,
    SMARTGRID,
    AttestedStub,
    Prover,
    close_after,
    cutting,
    dropping_after,
    padding,
    refusing,
)
from tests.support.certificates import Certificates
from tests.support.smartgrid_stub import Door, Fault
from tests.support.waiting import eventually

ALARM = Alarm(Metric.POWER, 4000.0)
LONG_AGO = dt.datetime.now(dt.UTC) - dt.timedelta(days=40)
Spoil = Callable[[AttestedStub, Prover], None]


async def refused(place: AttestedPlace) -> errors.NotAttestedError:
    """The error of a LOGIN that must not arrive."""
    async with place.client() as client:
        with pytest.raises(errors.NotAttestedError) as caught:
            await client.login(place.key)
        (connection,) = place.stub.arrived
        await eventually(connection.is_closing, "the connection to a refused server is closed")
    assert list(place.stub.arrived.values()) == [["attest"]]
    assert place.stub.bodies == []
    return caught.value


def of_another_platform(stub: AttestedStub, other: Prover) -> None:
    stub.prover = replace(stub.prover, platform=other.platform, collateral=other.collateral)


def of_another_key(stub: AttestedStub, other: Prover) -> None:
    stub.prover = replace(stub.prover, key=other.key)


def of_a_changed_program(stub: AttestedStub, _: Prover) -> None:
    stub.prover = replace(stub.prover, process=CHANGED)


def with_collateral_that_has_run_out(stub: AttestedStub, _: Prover) -> None:
    stub.prover = stub.prover.with_collateral_of(LONG_AGO)


def with_collateral_of_another_platform(stub: AttestedStub, other: Prover) -> None:
    stub.prover = replace(stub.prover, collateral=other.collateral)


def without_collateral(stub: AttestedStub, _: Prover) -> None:
    stub.prover = replace(stub.prover, collateral=None)


def for_another_challenge(stub: AttestedStub, _: Prover) -> None:
    answer = stub.prover.answer(bytes(32))
    stub.misbehaviour.append(lambda _: web.json_response(answer))


def with_claims_of_another_moment(stub: AttestedStub, _: Prover) -> None:
    first, second = stub.prover.answer(bytes(32)), stub.prover.answer(b"\1" * 32)
    mixed = {**first, "claims": second["claims"]}
    stub.misbehaviour.append(lambda _: web.json_response(mixed))


def in_an_unknown_format(stub: AttestedStub, _: Prover) -> None:
    answer = {**stub.prover.answer(bytes(32)), "format": "sgx-epid"}
    stub.misbehaviour.append(lambda _: web.json_response(answer))


def by_a_server_that_cannot_be_asked(stub: AttestedStub, _: Prover) -> None:
    stub.misbehaviour.append(refusing(404, "not_found"))


def by_a_server_that_wants_a_login_first(stub: AttestedStub, _: Prover) -> None:
    stub.misbehaviour.append(refusing(401, "unknown_token"))


def that_is_something_else(stub: AttestedStub, _: Prover) -> None:
    stub.misbehaviour.append(lambda _: web.json_response({"what": "is this"}))


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (of_another_platform, "untrusted_root"),
        (of_another_key, "other_key"),
        (of_a_changed_program, "not_admitted"),
        (with_collateral_that_has_run_out, "collateral_expired"),
        (with_collateral_of_another_platform, "untrusted_root"),
        (without_collateral, "collateral_unavailable"),
        (for_another_challenge, "stale_nonce"),
        (with_claims_of_another_moment, "claims_mismatch"),
        (in_an_unknown_format, "unknown_evidence_format"),
        (by_a_server_that_cannot_be_asked, "no_evidence"),
        (by_a_server_that_wants_a_login_first, "no_evidence"),
        (that_is_something_else, "bad_evidence"),
    ],
)
async def test_evidence_gets_a_server_nothing_that_is(
    attested: AttestedPlace, prover: Prover, spoil: Spoil, code: str
) -> None:
    spoil(attested.stub, prover)
    error = await refused(attested)
    assert (error.reason, error.retry, error.maybe_done) == (code, False, False)
    assert "nothing but a challenge was sent" in str(error)


async def test_a_certificate_without_evidence_is_not_enough(
    certificates: Certificates, tmp_path: Path
) -> None:
    async with attested_place(certificates, tmp_path, evidence=False) as place:
        assert (await refused(place)).reason == "no_evidence"


async def test_the_certificates_evidence_has_to_be_about_its_own_key(
    certificates: Certificates, tmp_path: Path, prover: Prover, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = prover.shown(None)
    monkeypatch.setattr(Prover, "shown", lambda *_: foreign)
    async with attested_place(certificates, tmp_path) as place:
        monkeypatch.undo()
        assert (await refused(place)).reason == "other_key"


async def test_a_refusal_says_what_differs_with_measurements_in_full(
    attested: AttestedPlace, prover: Prover
) -> None:
    of_a_changed_program(attested.stub, prover)
    standing = Standing(tcb_status=TcbStatus.OUT_OF_DATE)
    collateral = issue(attested.stub.prover.platform, dt.datetime.now(dt.UTC), standing)
    attested.stub.prover = replace(attested.stub.prover, collateral=collateral)
    report = (await refused(attested)).report
    assert report.reasons == (
        Difference(what="tcb_status", expected="UpToDate", found="OutOfDate", variant=None),
        Difference(
            what="mrenclave",
            expected=SMARTGRID.mrenclave.hex(),
            found=CHANGED.mrenclave.hex(),
            variant="smartgrid",
        ),
    )


async def test_a_session_is_verified_once_with_a_challenge_of_its_own(
    attested: AttestedPlace,
) -> None:
    async with attested.client() as client:
        first = await client.exchange(requests.login(attested.key))
        second = await client.exchange(requests.alarms())
        await client.logout()
    assert list(attested.stub.arrived.values()) == [["attest", "login", "alarms", "logout"]]
    assert attested.gate.count == 1
    assert first.admitted is not None
    assert first.admitted.measurement == SMARTGRID.mrenclave.hex()
    assert (first.admitted.variant, first.admitted.policy.version) == ("smartgrid", 3)
    assert second.admitted is None
    assert 0 < first.connect < first.latency
    assert second.connect == 0


async def test_each_connection_gets_a_new_challenge_and_a_full_handshake(
    attested: AttestedPlace,
) -> None:
    async with attested.client() as client:
        await client.login(attested.key)
        for _ in range(3):
            await client.disconnect()
            await client.alarms()
    assert [len(each) for each in attested.stub.challenges] == [32] * 4
    assert len(set(attested.stub.challenges)) == 4
    assert attested.stub.resumed == [False] * 4
    assert attested.stub.unverified == []


async def test_a_connection_that_ends_after_the_proof_is_not_followed_by_an_unverified_one(
    attested: AttestedPlace,
) -> None:
    attested.stub.after_answer.extend([close_after, close_after])
    async with attested.client() as client:
        exchange = await client.exchange(requests.login(attested.key))
    assert not exchange.failed
    assert list(attested.stub.arrived.values()) == [["attest"], ["attest"], ["attest", "login"]]


async def test_a_connection_that_is_lost_around_the_first_request_is_not_replaced_by_an_unverified_one(
    attested: AttestedPlace,
) -> None:
    attested.stub.after_answer.extend(dropping_after(delay) for delay in (0, 0.001, 0.002, 0.004))
    async with attested.session() as session:
        await session.perform(requests.alarms())
    assert attested.stub.unverified == []
    assert len(attested.stub.arrived) > 1


async def test_a_server_that_never_stays_after_its_proof_gets_nothing(
    attested: AttestedPlace,
) -> None:
    attested.stub.after_answer.extend([close_after] * 20)
    async with attested.client() as client:
        with pytest.raises(errors.BusyError, match="as soon as they are verified") as caught:
            await client.write([ALARM])
    assert not caught.value.maybe_done
    assert list(attested.stub.arrived.values()) == [["attest"]] * 3


@pytest.mark.parametrize("fault", [Fault.CUT_BEFORE, Fault.CUT_AFTER])
async def test_what_follows_a_lost_connection_is_verified_again(
    attested: AttestedPlace, fault: Fault
) -> None:
    attested.stub.next_time("query-avg", fault)
    async with attested.session() as session:
        await session.perform(requests.query_avg(Metric.POWER))
        for each in [*attested.stub.connections]:
            with contextlib.suppress(AttributeError):  # Python 3.11.2: it is closed already
                each.abort()
        await session.perform(requests.alarms())
    assert attested.stub.unverified == []
    assert len(attested.stub.challenges) == len(attested.stub.arrived) == 3


async def test_a_server_that_is_exchanged_in_a_session_gets_no_token(
    attested: AttestedPlace, prover: Prover
) -> None:
    session = attested.session()
    await session.open()
    await session.perform(requests.write([ALARM]))
    of_a_changed_program(attested.stub, prover)
    for each in [*attested.stub.connections]:
        each.abort()
    with pytest.raises(errors.NotAttestedError):
        await session.perform(requests.query_avg(Metric.POWER))
    with pytest.raises(errors.NotAttestedError):
        await session.close()
    assert attested.stub.unverified == []
    assert [each for each in attested.stub.arrived.values() if len(each) > 1] == [
        ["attest", "login", "write"]
    ]


async def test_a_meter_ends_at_once_when_its_server_is_not_admitted(
    attested: AttestedPlace, prover: Prover
) -> None:
    made = batches(generate(0, 7200, "seed"), BatchSize(rows=60))
    schedule = Schedule(asyncio.get_running_loop().time(), 0.01, 60.0)
    attested.stub.next_time("long-write", Fault.UNAVAILABLE)
    session = attested.session()
    await session.open()
    of_another_key(attested.stub, prover)
    with pytest.raises(errors.NotAttestedError):
        await meter.push(session, made, schedule, attested.stop)
    with pytest.raises(errors.NotAttestedError):
        await session.close()
    assert attested.stub.requests == ["login", "long-write"]


@pytest.mark.parametrize(
    "misbehaviour",
    [cutting, refusing(503, "evidence_unavailable"), refusing(409, "server_taken")],
)
async def test_a_server_that_gives_no_evidence_now_is_asked_again(
    attested: AttestedPlace, misbehaviour: Callable[[web.Request], web.Response]
) -> None:
    attested.stub.misbehaviour.extend([misbehaviour] * 2)
    async with attested.session() as session:
        await session.perform(requests.write([ALARM]))
    assert [code for _, code in attested.codes][2:] == ["ok", "ok", "ok"]
    assert [each.repeated for each in attested.attempts[:2]] == [True, True]
    assert attested.stub.unverified == []


async def test_a_write_whose_connection_could_not_be_verified_is_sent_all_the_same(
    attested: AttestedPlace,
) -> None:
    async with attested.session() as session:
        await attested_client(session).disconnect()
        attested.stub.misbehaviour.append(cutting)
        await session.perform(requests.write([ALARM]))
    assert attested.stub.alarms == {1: {"metric": "power", "threshold": 4000.0}}
    assert ("WRITE", "unanswered") in attested.codes


def attested_client(session: object) -> SmartGridClient:
    client = session._client  # type: ignore[attr-defined]  # the session's own, to break it
    assert isinstance(client, SmartGridClient)
    return client


@pytest.mark.parametrize("door", [Door.ALERT, Door.SHUT, Door.RESET])
async def test_a_busy_platform_is_still_told_apart(attested: AttestedPlace, door: Door) -> None:
    attested.gate.next_time(door)
    async with attested.client() as client:
        with pytest.raises(errors.BusyError):
            await client.login(attested.key)
        assert (await client.login(attested.key)).generation == 1


async def test_an_endless_answer_is_not_read(attested: AttestedPlace) -> None:
    attested.stub.misbehaviour.append(padding(wire.MOST + 1))
    async with attested.client() as client:
        with pytest.raises(errors.NotVerifiedError):
            await client.login(attested.key)
    assert attested.stub.bodies == []


async def test_ones_own_collateral_counts_instead_of_the_servers(attested: AttestedPlace) -> None:
    own = attested.stub.prover.collateral
    attested.stub.prover = replace(attested.stub.prover, collateral=None)
    await logs_in(attested, own)
    attested.stub.prover = attested.stub.prover.with_collateral_of(LONG_AGO)
    await logs_in(attested, own)
    fresh = replace(attested.stub.prover, collateral=own)
    attested.stub.prover = fresh
    with pytest.raises(errors.NotAttestedError) as caught:
        await logs_in(attested, issue(fresh.platform, LONG_AGO))
    assert caught.value.reason == "collateral_expired"


async def logs_in(place: AttestedPlace, collateral: Collateral | None) -> None:
    verifier = Verifier(trust.load(place.policy), collateral)
    address = Address("127.0.0.1", place.port, parse_uid(UID))
    async with SmartGridClient(address, place.tls, verifier) as client:
        await client.login(place.key)


async def test_an_attested_server_of_another_user_is_not_asked_for_anything(
    attested: AttestedPlace,
) -> None:
    async with attested.client(uid="customer-0002") as client:
        with pytest.raises(errors.ServerNotTrustedError, match="is for another name"):
            await client.login(attested.key)
    assert attested.stub.arrived == {}


def test_a_tls_context_that_does_not_check_names_is_refused(attested: AttestedPlace) -> None:
    credentials = Credentials.load(attested.tls)
    credentials.context.check_hostname = False
    with pytest.raises(ValueError, match="has to check it"):
        SmartGridClient(Address("127.0.0.1", 1, parse_uid(UID)), credentials, attested.verifier)


async def test_no_other_request_gets_a_connection_that_was_not_admitted(
    attested: AttestedPlace,
) -> None:
    """The second of two guards alone: nothing stops the opening of a connection here."""
    context = client_context(attested.tls)
    address = f"https://127.0.0.1:{attested.port}"
    async with aiohttp.ClientSession(
        address, connector=VerifiedConnector(limit=1, ssl=context)
    ) as session:
        for path in ("/v1/login", "/v1/long-write", "/v1/attest/../login"):
            with pytest.raises(UnverifiedConnectionError):
                await session.post(path, data=b"{}", server_hostname=UID)
        challenge = requests.attest(Operation.LOGIN, bytes(32))
        async with session.post(challenge.path, data=challenge.body, server_hostname=UID) as answer:
            await answer.read()
        with pytest.raises(UnverifiedConnectionError):
            await session.post("/v1/login", data=b"{}", server_hostname=UID)
    assert attested.stub.requests == []


async def test_a_resumed_session_would_be_refused(attested: AttestedPlace) -> None:
    """That none is offered is asserted above; here one is, by hand, to see that it would be possible and is noticed."""
    context = client_context(attested.tls)
    address = ("127.0.0.1", attested.port)
    first = await asyncio.to_thread(_handshake, context, address, None)
    second = await asyncio.to_thread(_handshake, context, address, first.session)
    assert (first.session_reused, second.session_reused) == (False, True)
    for each in (first, second):
        each.close()


def _handshake(
    context: ssl.SSLContext, address: tuple[str, int], known: ssl.SSLSession | None
) -> ssl.SSLSocket:
    connected = socket.create_connection(address, timeout=10)
    wrapped = context.wrap_socket(connected, server_hostname=UID, session=known)
    wrapped.sendall(b"GET /v1/none HTTP/1.1\r\nHost: x\r\n\r\n")
    wrapped.recv(4096)  # tickets come after the handshake
    return wrapped
