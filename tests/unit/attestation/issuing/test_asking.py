"""The server's end of the channel: one question at a time, no answer twice, and a certificate for its own key only."""

import asyncio
import contextlib
import datetime as dt
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import uvloop
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import structs

from attestation import extension
from attestation.appraisal import Shown, appraise
from attestation.collateral import Collateral
from attestation.errors import EvidenceUnavailableError
from attestation.gramine import GramineAttester
from attestation.issuing.asking import Holder
from attestation.issuing.channel import Channel, ChannelError, RefusedError
from attestation.issuing.issuer import LIFETIME, Unattested
from attestation.issuing.messages import (
    LONGEST,
    Answer,
    Begin,
    Challenge,
    Issued,
    Kept,
    LastSeen,
    Proof,
    QuoteWanted,
    Refused,
    Request,
    Seen,
    Source,
    encode,
    read_request,
)
from attestation.signed_policy import SignedPolicy
from attestation.soft.attester import SoftAttester
from standby import pki
from standby.hardening import Layer, Outcome
from standby.identity import Identity, Role
from standby.ids import Uid
from tests.support.attesting import Fault, Instead, WrapperEnd, pair
from tests.unit.attestation.issuing.world import SERVER, World, spki
from tests.unit.attestation.simulated import PROCESS

SOON = 5.0
NONCE = bytes(32)


class Ends:
    """Of one channel; the test plays the wrapper."""

    def __init__(self, server: Channel, wrapper: socket.socket) -> None:
        self.server = server
        self.wrapper = wrapper

    async def asked(self) -> Request:
        packet = await asyncio.get_running_loop().sock_recv(self.wrapper, LONGEST)
        request: Request = read_request(packet)
        return request

    def says(self, answer: Answer | bytes) -> None:
        self.wrapper.send(answer if isinstance(answer, bytes) else encode(answer))


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = pair()
    ours.settimeout(0)
    with ours, contextlib.closing(Channel(theirs.detach())) as channel:
        yield Ends(channel, ours)


@contextlib.asynccontextmanager
async def attended(wrapper: WrapperEnd) -> AsyncIterator[Channel]:
    ours, theirs = pair()
    with contextlib.closing(Channel(theirs.detach())) as channel:
        attending = asyncio.create_task(wrapper.attend(ours))
        yield channel
        channel.close()
        await attending


def wrapper_of(world: World, **instead: Instead) -> WrapperEnd:
    kinds: dict[str, type[Request]] = {"begin": Begin, "proof": Proof, "quote": QuoteWanted}
    return WrapperEnd(
        world.issuer(), world.platform, instead={kinds[name]: how for name, how in instead.items()}
    )


async def test_the_second_question_is_asked_when_the_first_is_answered(ends: Ends) -> None:
    first = asyncio.create_task(ends.server.ask(Begin(), Challenge, SOON))
    second = asyncio.create_task(ends.server.ask(LastSeen(Uid("anna")), Seen, SOON))
    assert await ends.asked() == Begin()
    with pytest.raises(BlockingIOError):
        ends.wrapper.recv(1)
    ends.says(Challenge(NONCE, Source.NOBODY))
    assert (await first).nonce == NONCE
    assert await ends.asked() == LastSeen(Uid("anna"))
    ends.says(Seen(None))
    assert (await second).record is None


async def test_a_refusal_says_why_and_leaves_the_channel_as_it_was(ends: Ends) -> None:
    for answer in (Refused("not_admitted", "another program"), Challenge(NONCE, Source.NOBODY)):
        asking = asyncio.create_task(ends.server.ask(Begin(), Challenge, SOON))
        await ends.asked()
        ends.says(answer)
        if isinstance(answer, Challenge):
            assert await asking == answer
        else:
            with pytest.raises(RefusedError, match="another program") as refused:
                await asking
            assert refused.value.reason == "not_admitted"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        pytest.param(b"\xc1", "failed", id="no MessagePack"),
        pytest.param(encode(Begin()), "failed", id="a request"),
        pytest.param(encode(Kept()), "Begin by Kept", id="another answer"),
        pytest.param(bytes(LONGEST + 1), "more than", id="too long"),
        pytest.param(Fault.CLOSED, "closed", id="the end"),
    ],
)
async def test_an_answer_that_breaks_the_rules_is_the_channels_end(
    ends: Ends, answer: bytes | Fault, says: str
) -> None:
    asking = asyncio.create_task(ends.server.ask(Begin(), Challenge, SOON))
    await ends.asked()
    if isinstance(answer, bytes):
        ends.wrapper.settimeout(1)
        ends.says(answer)
    else:
        ends.wrapper.close()
    with pytest.raises(ChannelError, match=says):
        await asking
    with pytest.raises(ChannelError, match=says):
        await ends.server.ask(Begin(), Challenge, SOON)


async def test_who_speaks_without_being_asked_is_not_listened_to(ends: Ends) -> None:
    ends.says(Challenge(NONCE, Source.NOBODY))
    with pytest.raises(ChannelError, match="without being asked"):
        await ends.server.ask(Begin(), Challenge, SOON)
    assert not ends.wrapper.recv(LONGEST)


async def test_a_late_answer_is_nobodys(ends: Ends) -> None:
    with pytest.raises(ChannelError, match=r"no answer within 0\.05 s"):
        await ends.server.ask(Begin(), Challenge, 0.05)
    assert await ends.asked() == Begin()
    with pytest.raises(BrokenPipeError):
        ends.says(Challenge(NONCE, Source.NOBODY))
    with pytest.raises(ChannelError, match="no answer within"):
        await ends.server.ask(LastSeen(Uid("anna")), Seen, SOON)


async def test_a_question_that_is_given_up_takes_the_channel_with_it(ends: Ends) -> None:
    asking = asyncio.create_task(ends.server.ask(Begin(), Challenge, SOON))
    await ends.asked()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    with pytest.raises(ChannelError, match="nobody waited"):
        await ends.server.ask(Begin(), Challenge, SOON)


async def test_a_wrapper_that_goes_is_noticed_while_nothing_is_asked(ends: Ends) -> None:
    asking = asyncio.create_task(ends.server.ask(Begin(), Challenge, SOON))
    await ends.asked()
    ends.says(Challenge(NONCE, Source.NOBODY))
    await asking
    assert not ends.server.lost.is_set()
    ends.wrapper.close()
    async with asyncio.timeout(SOON):
        await ends.server.lost.wait()
    with pytest.raises(ChannelError, match="closed"):
        await ends.server.ask(Begin(), Challenge, SOON)


async def test_a_second_answer_is_the_channels_end(ends: Ends) -> None:
    asking = asyncio.create_task(ends.server.ask(Begin(), Challenge, SOON))
    await ends.asked()
    for _ in range(2):
        ends.says(Challenge(NONCE, Source.NOBODY))
    assert (await asking).nonce == NONCE
    async with asyncio.timeout(SOON):
        await ends.server.lost.wait()
    with pytest.raises(ChannelError, match="without being asked"):
        await ends.server.ask(Begin(), Challenge, SOON)


async def test_who_waits_for_the_loss_learns_of_each_kind(ends: Ends) -> None:
    ends.server.close()
    assert not ends.server.lost.is_set()
    for given_up in (False, True):
        ours, theirs = pair()
        with ours, contextlib.closing(Channel(theirs.detach())) as channel:
            asking = asyncio.create_task(
                channel.ask(Begin(), Challenge, SOON if given_up else 0.05)
            )
            await asyncio.sleep(0)
            if given_up:
                asking.cancel()
            with pytest.raises((ChannelError, asyncio.CancelledError)):
                await asking
            assert channel.lost.is_set()


def test_another_kind_of_descriptor_is_refused(tmp_path: Path) -> None:
    streams = socket.socketpair()
    with streams[0], pytest.raises(ValueError, match="not a Unix socket of packets"):
        Channel(streams[1].detach())
    with (tmp_path / "file").open("wb") as file, pytest.raises(OSError, match="non-socket"):
        Channel(file.fileno())


async def test_a_server_gets_a_certificate_for_its_key_by_its_evidence(world: World) -> None:
    wrapper = wrapper_of(world)
    async with attended(wrapper) as channel:
        credential = await Holder(channel, wrapper.boot_id).obtain({Layer.SECCOMP: Outcome.APPLIED})
    assert wrapper.asked[0] == Begin({Layer.SECCOMP: Outcome.APPLIED})
    assert wrapper.kinds() == [Begin, QuoteWanted, Proof]
    own = credential.chain[0]
    own.verify_directly_issued_by(credential.chain[1])
    assert own.public_key() == credential.key.public_key()
    shown = extension.of_certificate(own.public_bytes(serialization.Encoding.DER))
    assert (shown.evidence, shown.claims) == (credential.evidence, credential.claims)
    life = credential.ends - credential.begins
    assert life <= LIFETIME
    assert abs(credential.renew_at - credential.begins - life * 2 / 3) < dt.timedelta(seconds=1)
    assert credential.collateral == world.collateral(world.clock()).to_json()


async def test_a_renewal_is_for_the_same_key(world: World) -> None:
    wrapper = wrapper_of(world)
    async with attended(wrapper) as channel:
        holder = Holder(channel, wrapper.boot_id)
        first, second = await holder.obtain({}), await holder.obtain({})
    assert first.key is second.key
    assert first.chain[0] != second.chain[0]
    assert first.claims != second.claims


async def test_with_each_certificate_comes_the_newest_policy_for_clients(world: World) -> None:
    wrapper, passed_on = wrapper_of(world), []
    policies = [None, *(SignedPolicy(b"version = %d\n" % each, bytes(64)) for each in (1, 2))]
    async with attended(wrapper) as channel:
        holder = Holder(channel, wrapper.boot_id)
        for world.newest_policy in policies:
            passed_on.append((await holder.obtain({})).policy)
    assert passed_on == policies


async def test_evidence_for_a_client_answers_his_challenge(world: World) -> None:
    wrapper = wrapper_of(world)
    async with attended(wrapper) as channel:
        holder = Holder(channel, wrapper.boot_id)
        credential = await holder.obtain({})
        proof = await holder.prove(b"a client's challenge")
    assert proof.evidence is not None
    assert credential.collateral is not None
    claims, _ = appraise(
        world.trust,
        Shown(proof.evidence, proof.claims, spki(credential.key)),
        Collateral.from_json(credential.collateral),
        nonce=b"a client's challenge",
        made_at=world.clock(),
        now=world.clock(),
        instance=wrapper.boot_id,
    )
    assert claims.mrenclave == PROCESS.mrenclave.hex()


async def test_where_attestation_is_off_there_is_a_certificate_and_no_evidence(
    world: World,
) -> None:
    wrapper = WrapperEnd(Unattested(world.authority(None)))
    async with attended(wrapper) as channel:
        holder = Holder(channel, wrapper.boot_id)
        credential = await holder.obtain({})
        assert credential.evidence is None
        assert (await holder.prove(b"challenge")).evidence is None
    assert wrapper.kinds() == [Begin, Proof]


async def test_evidence_of_the_own_enclave_is_not_asked_of_the_wrapper(world: World) -> None:
    wrapper = wrapper_of(world)
    challenge = Challenge(wrapper.issuer.challenge(wrapper.boot_id), Source.GRAMINE)
    wrapper.instead[Begin] = challenge
    enclave = SoftAttester(world.platform, PROCESS)
    async with attended(wrapper) as channel:
        credential = await Holder(channel, wrapper.boot_id, enclave).obtain({})
    assert wrapper.kinds() == [Begin, Proof]
    assert credential.evidence is not None


async def test_without_an_enclave_around_it_there_is_nothing_to_prove(
    world: World, tmp_path: Path
) -> None:
    wrapper = wrapper_of(world, begin=Challenge(b"n" * 32, Source.GRAMINE))
    async with attended(wrapper) as channel:
        with pytest.raises(EvidenceUnavailableError, match="gramine-sgx"):
            await Holder(channel, wrapper.boot_id, GramineAttester(tmp_path)).obtain({})
    assert wrapper.kinds() == [Begin]


async def test_a_program_that_the_policy_does_not_name_gets_the_reason(world: World) -> None:
    wrapper = wrapper_of(world)
    wrapper.process = structs.replace(PROCESS, mrenclave=bytes(32))
    async with attended(wrapper) as channel:
        with pytest.raises(RefusedError, match="mrenclave") as refused:
            await Holder(channel, wrapper.boot_id).obtain({})
    assert refused.value.reason == "not_admitted"


async def test_a_certificate_for_another_key_is_not_taken(world: World) -> None:
    authority = world.authority(world.trust)
    stranger = authority.certify(
        pki.new_key().public_key(), Identity(Role.INSTANCE, Uid("other")), SERVER, LIFETIME
    )
    der = stranger.public_bytes(serialization.Encoding.DER)
    for chain, says in (
        ((der,), "not for this process's key"),
        ((b"no",), "read"),
        ((), "not for"),
    ):
        wrapper = wrapper_of(world, proof=Issued(chain, None))
        async with attended(wrapper) as channel:
            with pytest.raises(ChannelError, match=says):
                await Holder(channel, wrapper.boot_id).obtain({})


async def test_a_certificate_that_has_ended_is_not_taken(world: World) -> None:
    wrapper = wrapper_of(world)
    ended = world.authority(world.trust, dt.timedelta(seconds=-60))

    def certified(proof: Proof) -> Issued:
        key = serialization.load_der_public_key(proof.public_key)
        assert isinstance(key, ec.EllipticCurvePublicKey)
        own = ended.certify(key, Identity(Role.INSTANCE, Uid("own")), SERVER, LIFETIME)
        return Issued((own.public_bytes(serialization.Encoding.DER),), None)

    async with attended(wrapper) as channel:
        holder = Holder(channel, wrapper.boot_id)
        await holder.obtain({})
        last = wrapper.asked[-1]
        assert isinstance(last, Proof)
        wrapper.instead[Proof] = certified(last)
        with pytest.raises(RefusedError, match="ended already"):
            await holder.obtain({})


def test_the_channel_works_in_the_loop_of_servers(world: World) -> None:
    async def exchange() -> WrapperEnd:
        wrapper = wrapper_of(world)
        async with attended(wrapper) as channel:
            holder = Holder(channel, wrapper.boot_id)
            await holder.obtain({})
            await asyncio.gather(
                holder.obtain({}), holder.prove(bytes(32)), holder.prove(bytes(32))
            )
            wrapper.instead[Begin] = Fault.CLOSED
            with pytest.raises(ChannelError, match="closed"):
                await holder.obtain({})
            assert channel.lost.is_set()
        return wrapper

    assert sorted(kind.__name__ for kind in uvloop.run(exchange()).kinds()) == sorted(
        ["Begin", "QuoteWanted", "Proof"] * 2 + ["QuoteWanted"] * 2 + ["Begin"]
    )
