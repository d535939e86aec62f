"""Server processes that must prove what they are: who becomes ready, what clients see, and what a renewal changes."""

import asyncio
import base64
import contextlib
import datetime as dt
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from attestation import extension
from attestation.appraisal import Shown, appraise
from attestation.claims import Claims
from attestation.collateral import Collateral
from attestation.evidence import Evidence
from attestation.issuing.issuer import Unattested
from attestation.issuing.messages import (
    Begin,
    Kept,
    LastSeen,
    Left,
    Proof,
    QuoteWanted,
    Refused,
    Request,
)
from attestation.signed_policy import SignedPolicy
from standby import decode
from standby.hardening import Layer, Outcome
from standby.identity import Role
from tests.support.attesting import Fault, Instead, WrapperEnd, pair
from tests.support.certificates import Certificates
from tests.support.smartgrid import ROOT, Answer, Client, Reply, Server, new_volume, volumes
from tests.support.waiting import eventually
from tests.unit.attestation.issuing.world import World, made
from tests.unit.attestation.simulated import PROCESS

CHALLENGE: Final = bytes(range(32))
SHORT: Final = dt.timedelta(seconds=4)


@dataclass
class AttestedServer(Server):
    """A server process that was started with a channel."""

    log: list[str] = field(default_factory=list)
    """Every line of its stderr."""
    channel: socket.socket | None = None
    """The wrapper's end."""

    def close_channel(self) -> None:
        assert self.channel is not None
        self.channel.shutdown(socket.SHUT_RDWR)

    async def read_log(self) -> None:
        assert self.process.stderr is not None
        async for raw in self.process.stderr:
            self.log.append(raw.decode().rstrip("\n"))

    async def logs(self, event: str) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            records = (json.loads(line) for line in self.log if line.startswith("{"))
            return next((each for each in records if event in each.values()), None)

        record = await eventually(found, f"it logs {event}")
        assert record is not None
        return record


@pytest.fixture
def world(tmp_path: Path, certificates: Certificates) -> Iterator[World]:
    """A platform, and an issuer below the root that clients trust."""
    with made(tmp_path / "audit") as world:
        world.root = certificates.servers
        yield world


def attested(world: World, **instead: Instead) -> WrapperEnd:
    kinds: dict[str, type[Request]] = {
        "begin": Begin,
        "quote": QuoteWanted,
        "proof": Proof,
        "last_seen": LastSeen,
        "left": Left,
    }
    return WrapperEnd(
        world.issuer(), world.platform, instead={kinds[name]: how for name, how in instead.items()}
    )


@contextlib.asynccontextmanager
async def launched(
    certificates: Certificates,
    wrapper: WrapperEnd,
    answers: Mapping[str, Answer] | None = None,
    **settings: object,
) -> AsyncIterator[AttestedServer]:
    """A server process with a channel to `wrapper`, which may not be ready yet; killed afterwards if still there."""
    ours, theirs = pair()
    with theirs, socket.create_server(("127.0.0.1", 0)) as sock:
        values = {
            "listen_fd": sock.fileno(),
            "attest_fd": theirs.fileno(),
            "boot_id": wrapper.boot_id,
            "client_authorities": certificates.users_ca,
            **settings,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "smartgrid_server",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=[sock.fileno(), theirs.fileno()],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]}
            | {f"SMARTGRID_{name.upper()}": str(value) for name, value in values.items()},
        )
        port = sock.getsockname()[1]
    server = AttestedServer(process, port, wrapper.boot_id, answers or {}, channel=ours)
    attending = asyncio.create_task(wrapper.attend(ours))
    reading = [asyncio.create_task(server.listen()), asyncio.create_task(server.read_log())]
    try:
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await asyncio.gather(attending, *reading)
        server.close_stdin()


def spki(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


async def attest(client: Client, challenge: bytes = CHALLENGE) -> Reply:
    return await client.post("attest", {"challenge": base64.b64encode(challenge).decode()})


def appraised(world: World, server: Server, shown: x509.Certificate, reply: Reply) -> Claims:
    evidence = Evidence(reply.body["format"], base64.b64decode(reply.body["evidence"]))
    return appraise(
        world.trust,
        Shown(evidence, base64.b64decode(reply.body["claims"]), spki(shown)),
        Collateral.from_json(base64.b64decode(reply.body["collateral"])),
        nonce=CHALLENGE,
        made_at=world.clock(),
        now=time.time(),
        instance=server.boot_id,
    ).claims


async def test_a_server_waits_for_a_user_when_it_has_its_certificate_and_not_before(
    world: World, certificates: Certificates
) -> None:
    wrapper = attested(world)
    async with launched(certificates, wrapper) as server:
        await server.says("WAITING_LOGIN")
        assert wrapper.kinds() == [Begin, QuoteWanted, Proof]
        begin = wrapper.asked[0]
        assert isinstance(begin, Begin)
        assert begin.hardening[Layer.NO_NEW_PRIVS] is Outcome.APPLIED
    (verdict,) = world.verdicts()
    assert verdict.instance == wrapper.boot_id
    assert not verdict.reasons


async def test_what_was_not_given_up_is_said(world: World, certificates: Certificates) -> None:
    wrapper = attested(world)
    async with launched(certificates, wrapper, hardening="off") as server:
        await server.says("WAITING_LOGIN")
    assert wrapper.asked[0] == Begin(dict.fromkeys(Layer, Outcome.OFF))


async def test_a_client_finds_the_evidence_in_the_certificate_and_asks_for_fresh_one(
    world: World, certificates: Certificates, tmp_path: Path
) -> None:
    wrapper = attested(world)
    world.newest_policy = SignedPolicy(b"version = 1\n", bytes(64))
    answers = volumes(alice=new_volume(tmp_path, "alice"))
    async with launched(certificates, wrapper, answers) as server:
        await server.says("WAITING_LOGIN")
        async with Client(certificates, server) as alice:
            reply = await attest(alice)
            assert reply.status == 200
            assert decode.value(reply.body["policy"], SignedPolicy) == world.newest_policy
            shown = alice.server_certificate()
            assert appraised(world, server, shown, reply).mrenclave == PROCESS.mrenclave.hex()
            attached = extension.of_certificate(shown.public_bytes(serialization.Encoding.DER))
            proof = wrapper.asked[2]
            assert isinstance(proof, Proof)
            assert (attached.evidence, attached.claims) == (proof.evidence, proof.claims)
            assert attached.public_key == proof.public_key
            # nobody was logged in by it
            assert (await alice.get("alarms", token="x")).code == "unknown_token"
            assert (await alice.login()).status == 200
            assert (await attest(alice)).status == 200
            assert (await alice.logout()).status == 200
        assert await server.ends() == 0


async def test_a_meter_may_ask_too_and_nobody_for_another_user(
    world: World, certificates: Certificates
) -> None:
    wrapper = attested(world)
    async with launched(certificates, wrapper) as server:
        await server.says("WAITING_LOGIN")
        async with Client(certificates, server, role=Role.METER) as meter:
            assert (await attest(meter)).status == 200
        async with Client(certificates, server, "bob", asks_for="alice") as bob:
            assert (await attest(bob)).code == "wrong_user"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{}", "malformed"),
        (b'{"challenge": "AAAA"}', "malformed"),
        (b'{"challenge": "not base64 at all, but long"}', "malformed"),
        (b'{"challenge": "' + b"A" * 2000 + b'"}', "body_too_large"),
    ],
)
async def test_a_challenge_that_is_none_costs_the_platform_nothing(
    body: bytes, code: str, world: World, certificates: Certificates
) -> None:
    wrapper = attested(world)
    async with launched(certificates, wrapper) as server:
        await server.says("WAITING_LOGIN")
        async with Client(certificates, server) as alice:
            assert (await alice.post("attest", raw=body)).code == code
    assert wrapper.kinds().count(QuoteWanted) == 1


async def test_where_attestation_is_off_servers_serve_and_have_no_evidence(
    world: World, certificates: Certificates
) -> None:
    wrapper = WrapperEnd(Unattested(world.authority(None)))
    async with launched(certificates, wrapper) as server:
        await server.says("WAITING_LOGIN")
        async with Client(certificates, server) as alice:
            assert (await attest(alice)).code == "evidence_unavailable"


@pytest.mark.parametrize(
    ("instead", "status", "says"),
    [
        ({"proof": Refused("not_admitted", "expected a, found b")}, 78, "expected a, found b"),
        ({"begin": Refused("issuer_ended", "too late")}, 78, "issuer_ended: too late"),
        ({"proof": b"\xc1 garbage"}, 1, "the channel to the wrapper failed"),
        ({"begin": Kept()}, 1, "Begin by Kept"),
        ({"quote": Fault.CLOSED}, 1, "closed"),
    ],
    ids=["refused", "refused at once", "garbage", "another answer", "closed"],
)
async def test_a_server_without_a_certificate_never_waits_for_a_user_and_says_why(
    instead: dict[str, Instead],
    status: int,
    says: str,
    world: World,
    certificates: Certificates,
) -> None:
    async with launched(certificates, attested(world, **instead)) as server:
        assert await server.ends() == status
        record = await server.logs("settings_unusable" if status == 78 else "part_failed")
        assert says in record.get("text", "") + record.get("exc_info", "")
    assert server.said == []


async def test_another_program_is_refused(world: World, certificates: Certificates) -> None:
    wrapper = attested(world)
    wrapper.process = type(PROCESS)(mrenclave=bytes(32), mrsigner=PROCESS.mrsigner)
    async with launched(certificates, wrapper) as server:
        assert await server.ends() == 78
        record = await server.logs("settings_unusable")
        assert "mrenclave: expected" in record["text"]
    assert server.said == []


async def test_a_server_may_be_stopped_while_it_waits_for_its_certificate(
    world: World, certificates: Certificates
) -> None:
    wrapper = attested(world, begin=Fault.SILENCE)
    async with launched(certificates, wrapper) as server:
        await eventually(lambda: wrapper.asked, "it has asked")
        server.close_stdin()
        assert await server.ends() == 0
    assert server.said == ["LOGOUT drained"]


async def test_a_dedicated_server_is_certified_before_it_asks_for_its_users_volume(
    world: World, certificates: Certificates, tmp_path: Path
) -> None:
    refused = attested(world, proof=Refused("not_admitted", "no"))
    async with launched(certificates, refused, dedicated_uid="alice") as server:
        assert await server.ends() == 78
    assert server.said == []
    answers = volumes(alice=new_volume(tmp_path, "alice"))
    async with launched(certificates, attested(world), answers, dedicated_uid="alice") as server:
        await server.says("LOGIN alice")
        async with Client(certificates, server) as alice:
            assert (await alice.login()).status == 200


async def test_new_connections_see_a_renewed_certificate_and_open_ones_go_on(
    world: World, certificates: Certificates, tmp_path: Path
) -> None:
    wrapper = attested(world)
    lasting = wrapper.issuer
    wrapper.issuer = world.issuer(world.authority(world.trust, SHORT))
    answers = volumes(alice=new_volume(tmp_path, "alice"))
    async with launched(certificates, wrapper, answers) as server:
        await server.says("WAITING_LOGIN")
        wrapper.issuer = lasting
        async with Client(certificates, server) as alice:
            await alice.login()
            before = alice.server_certificate()
            await server.logs("certificate_renewed")
            async with Client(certificates, server, role=Role.METER) as meter:
                assert (await attest(meter)).status == 200
                after = meter.server_certificate()
            assert spki(before) == spki(after)
            assert after.not_valid_after_utc > before.not_valid_after_utc
            assert (await alice.get("alarms")).status == 200
            assert alice.server_certificate() == before
            assert (await alice.logout()).status == 200
        assert await server.ends() == 0
    assert wrapper.kinds().count(Proof) == 2


async def test_a_server_that_is_not_certified_anew_ends_with_its_certificate(
    world: World, certificates: Certificates
) -> None:
    wrapper = attested(world)
    wrapper.issuer = world.issuer(world.authority(world.trust, SHORT))
    async with launched(certificates, wrapper) as server:
        await server.says("WAITING_LOGIN")
        wrapper.instead[Proof] = Refused("not_admitted", "the policy has changed")
        await server.says("LOGOUT unattested")
        assert await server.ends() == 0
        assert (await server.logs("renewal_failed"))["code"] == "not_admitted"


async def test_a_session_outlives_the_certificate_that_it_began_under(
    world: World, certificates: Certificates, tmp_path: Path
) -> None:
    wrapper = attested(world)
    wrapper.issuer = world.issuer(world.authority(world.trust, SHORT))
    answers = volumes(alice=new_volume(tmp_path, "alice"))
    async with launched(certificates, wrapper, answers) as server:
        await server.says("WAITING_LOGIN")
        wrapper.instead[Proof] = Refused("not_admitted", "the policy has changed")
        async with Client(certificates, server) as alice:
            await alice.login()
            ends = alice.server_certificate().not_valid_after_utc
            await eventually(lambda: dt.datetime.now(dt.UTC) > ends, "the certificate has ended")
            await eventually(lambda: wrapper.kinds().count(Proof) > 2, "it was refused again")
            assert (await alice.get("alarms")).status == 200
            assert (await alice.logout()).status == 200
        assert await server.ends() == 0
    assert "LOGOUT logout" in server.said


async def test_a_channel_that_is_lost_takes_evidence_with_it(
    world: World, certificates: Certificates
) -> None:
    wrapper = attested(world)
    async with launched(certificates, wrapper) as server:
        await server.says("WAITING_LOGIN")
        wrapper.instead[QuoteWanted] = b"garbage"
        async with Client(certificates, server) as alice:
            reply = await attest(alice)
            assert (reply.status, reply.code) == (503, "evidence_unavailable")
        await server.says("LOGOUT unattested")
        assert await server.ends() == 0


async def test_a_server_whose_wrapper_closes_the_channel_gives_way_to_another_one_at_once(
    world: World, certificates: Certificates
) -> None:
    async with launched(certificates, attested(world)) as server:
        await server.says("WAITING_LOGIN")
        server.close_channel()
        await server.says("LOGOUT unattested")
        assert await server.ends() == 0


@pytest.mark.parametrize(
    ("settings", "last"),
    [({}, "LOGOUT logout"), ({"dedicated_uid": "alice"}, "LOGOUT unattested")],
    ids=["standby", "dedicated"],
)
async def test_a_session_goes_on_without_a_channel_and_the_server_ends_with_it(
    settings: dict[str, object],
    last: str,
    world: World,
    certificates: Certificates,
    tmp_path: Path,
) -> None:
    answers = volumes(alice=new_volume(tmp_path, "alice"))
    async with launched(certificates, attested(world), answers, **settings) as server:
        await server.says("LOGIN alice" if settings else "WAITING_LOGIN")
        async with Client(certificates, server) as alice:
            assert (await alice.login()).status == 200
            server.close_channel()
            await server.logs("channel_lost")
            async with Client(certificates, server, role=Role.METER) as meter:
                assert (await meter.login()).status == 200
                assert (await meter.logout()).body["ended"] is False
            assert (await alice.get("alarms")).status == 200
            assert (await alice.logout()).body["ended"] is True
        assert await server.ends() == 0
    assert server.said[-1] == last


async def test_a_dedicated_server_whose_wrapper_does_not_answer_at_logout_gives_way_to_another_one(
    world: World, certificates: Certificates, tmp_path: Path
) -> None:
    wrapper = attested(world, left=Fault.SILENCE)
    answers = volumes(alice=new_volume(tmp_path, "alice"))
    async with launched(certificates, wrapper, answers, dedicated_uid="alice") as server:
        await server.says("LOGIN alice")
        async with Client(certificates, server) as alice:
            await alice.login()
            assert (await alice.logout()).status == 200
        assert not any(line.startswith("LOGOUT") for line in server.said)
        await server.says("LOGOUT unattested")
        assert await server.ends() == 0
    assert wrapper.kinds().count(Left) == 1
