"""A server that a user has taken over while it waited says that another user logs in: it gets nothing of theirs.

Mallory is a customer with a certificate of their own, so the platform sends them to a server. Anna is another one, who
works beside it. Nothing of hers is touched, she logs in at another server at once, and the server that named her ends.
Each attack is tried on a server that has told its wrapper whose requests it reads, and on one that was taken over
before; with all hardening, and without.
"""

import base64
import contextlib
import datetime as dt
import json
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from app_wrapper.process import Process
from app_wrapper.settings import LauncherKind, Settings
from app_wrapper.wrapper import Wrapper, running
from attestation import sealing
from attestation.issuing.issuer import authority_name
from smartgrid_client.credentials import Credentials
from smartgrid_client.messages import LoginChallenge
from standby import deadlines, pki
from standby.identity import Identity, Role
from standby.ids import BootId, Uid
from standby.states import State, StopReason
from standby.tls import TlsFiles
from tests.attacks.usurper.usurper import MALLORY, STEPS
from tests.support.certificates import Certificates
from tests.support.smartgrid import Client, provision
from tests.support.waiting import eventually
from tests.support.wrapper import processes, ready, settings

_DAY: Final = dt.timedelta(days=1)
_SECOND: Final = dt.timedelta(seconds=1)
_HERE: Final = Path(__file__).parent
_SLOW: Final = 60.0
"""Seconds for what a machine under load does."""
Proof = tuple[bytes, bytes]
"""Certificate and signature."""


@dataclass(frozen=True)
class Took:
    """What a server that was taken over has found out, or done."""

    did: list[Any]
    boot_id: BootId
    certificate: bytes
    """That it shows, in DER."""

    def signed(self, files: TlsFiles, uid: str) -> Proof:
        """As the owner of these files signs for `uid`, whoever that is."""
        credentials = replace(Credentials.load(files), uid=Uid(uid))
        challenge = LoginChallenge(boot_id=self.boot_id, nonce=self.did[-1])
        proof = credentials.prove(challenge, self.certificate)
        assert proof is not None
        return _der(files), proof.signature


@dataclass
class Scene:
    """A wrapper with servers that can be taken over; anna and mallory are enrolled."""

    wrapper: Wrapper
    certificates: Certificates
    directory: Path
    ended: dict[BootId, StopReason | None]

    async def server(self) -> Process:
        """One that nobody has come to yet."""

        def fresh() -> Process | None:
            waiting = [each for each in processes(self.wrapper, State.READY) if each.bound is None]
            return waiting[0] if waiting else None

        found = await eventually(fresh, "a server waits", deadline=deadlines.SERVER_START)
        assert found is not None
        return found

    async def mallory(self, server: Process, *steps: list[str]) -> "Took | None":
        """What came of the steps; None: the server was ended meanwhile."""
        body = {"challenge": base64.b64encode(bytes(32)).decode()}
        async with Client(self.certificates, server, MALLORY) as client:
            try:
                reply = await client.post("attest", body, **{STEPS: json.dumps(steps)})
            except aiohttp.ClientConnectionError:
                return None
            assert reply.status == 200, reply.body
            shown = client.server_certificate().public_bytes(Encoding.DER)
            return Took(reply.body["did"], server.boot_id, shown)

    async def anna_logs_in(self) -> tuple[int, Proof]:
        """At a server that she is sent to; the generation of her data there, and the proof that she made."""
        server = await self.server()
        async with Client(self.certificates, server, "anna") as client:
            reply = await client.login()
            assert reply.status == 200, reply.body
            assert client.proof is not None
            assert (await client.logout()).status == 200
        claim = self.directory / "volumes" / "anna" / "claim"
        await eventually(lambda: claim.read_text() == "\n", "it is given back", deadline=_SLOW)
        certificate = _der(self.certificates.user("anna"))
        return reply.body["generation"], (certificate, client.proof.signature)

    def of_anna(self) -> dict[str, tuple[bytes, int]]:
        """All of hers: content and owner of each file."""
        places = (self.directory / "volumes" / "anna", self.directory / "freshness")
        files = [each for place in places for each in place.rglob("*") if each.is_file()]
        return {str(each): (each.read_bytes(), each.stat().st_uid) for each in files}

    async def ends(self, server: Process) -> StopReason | None:
        await eventually(
            lambda: server.boot_id in self.ended, "the server has ended", deadline=_SLOW
        )
        return self.ended[server.boot_id]


@contextlib.asynccontextmanager
async def scene(
    directory: Path,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    *,
    hardening: str = "on",
    tells: bool = True,
    **changes: Any,
) -> AsyncIterator[Scene]:
    monkeypatch.setenv("SMARTGRID_HARDENING", hardening)
    monkeypatch.setenv("USURPER_TELLS", "yes" if tells else "no")
    async with running(usurped(directory, certificates, monkeypatch, **changes)) as wrapper:
        ended: dict[BootId, StopReason | None] = {}

        def note(_boot_id: object) -> None:
            for each in processes(wrapper):
                if each.reason is not None:
                    ended[each.boot_id] = each.reason

        wrapper.supervisor.on_change = note
        await ready(wrapper, 2)
        yield Scene(wrapper, certificates, directory, ended)


def usurped(
    directory: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, **changes: Any
) -> Settings:
    """Settings of a wrapper whose servers can be taken over; anna and mallory are enrolled."""
    provision(directory, certificates, ("anna", MALLORY), monkeypatch)
    monkeypatch.setenv("SMARTGRID_VOLUMES_DIR", str(directory / "volumes"))
    return settings(
        directory,
        app=_HERE / "usurper" / "app.toml",
        launcher=LauncherKind.FORK,
        pool_size=2,
        **_channel(directory, certificates),
        **changes,
    )


def _channel(directory: Path, certificates: Certificates) -> dict[str, Any]:
    """What a wrapper needs to certify servers that prove nothing of themselves."""
    issuer = certificates.servers.intermediate(
        authority_name(None), _DAY, pki.Usage(server=True), path_length=1
    )
    seal_key = directory / "seal-key"
    seal_key.write_text(secrets.token_hex(32))
    files = directory / "wrapper-issuer.pem", directory / "wrapper-issuer-key.pem"
    issuer.save(*files, sealing.load(seal_key))
    return {
        "issuer_certificate": files[0],
        "issuer_key": files[1],
        "seal_key": seal_key,
        "freshness_dir": directory / "freshness",
        "user_authorities": certificates.users_ca,
    }


def _der(files: TlsFiles) -> bytes:
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    return certificate.public_bytes(Encoding.DER)


def _step(proof: Proof) -> list[str]:
    certificate, signature = (base64.b64encode(each).decode() for each in proof)
    return ["prove", certificate, signature]


LOGIN: Final = ["say", "LOGIN anna"]


@pytest.mark.parametrize("hardening", ["on", "off"])
@pytest.mark.parametrize("tells", [True, False], ids=["told", "untold"])
async def test_nothing_of_another_user_is_had_without_their_proof(
    tmp_path: Path,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    hardening: str,
    *,
    tells: bool,
) -> None:
    async with scene(
        tmp_path, certificates, monkeypatch, hardening=hardening, tells=tells
    ) as place:
        generation, earlier = await place.anna_logs_in()
        for attack in _ATTACKS if tells else (*_ATTACKS, *_ATTACKS_UNTOLD):
            before = place.of_anna()
            server = await place.server()
            reason = await attack(place, server, earlier)
            assert await place.ends(server) is reason, attack.__name__
            assert place.of_anna() == before, attack.__name__
            generation, _ = await _she_is_not_kept_out(place, generation)


async def _she_is_not_kept_out(place: Scene, generation: int) -> tuple[int, Proof]:
    again, proof = await place.anna_logs_in()
    assert again == generation + 1, "her volume was claimed in between"
    return again, proof


# --- the attacks; each gives the reason for which its server ends

Attack = Callable[[Scene, Process, Proof], Coroutine[Any, Any, StopReason]]


async def it_just_says_so(place: Scene, server: Process, _: Proof) -> StopReason:
    assert await place.mallory(server, LOGIN) is None
    return StopReason.UNPROVED


async def mallory_proves_to_be_mallory(place: Scene, server: Process, _: Proof) -> StopReason:
    """A proof that holds, of another user."""
    took = await place.mallory(server, ["bind", MALLORY])
    assert took is not None
    proof = took.signed(place.certificates.user(MALLORY), MALLORY)
    proved = await place.mallory(server, _step(proof))
    assert proved is not None
    assert proved.did == ["proved"]
    assert await place.mallory(server, LOGIN) is None
    return StopReason.UNPROVED


async def it_reads_her_requests_too(place: Scene, server: Process, _: Proof) -> StopReason:
    assert await place.mallory(server, ["bind", MALLORY], ["bind", "anna"], LOGIN) is None
    return StopReason.KILLED


_ATTACKS: Final[tuple[Attack, ...]] = (
    it_just_says_so,
    mallory_proves_to_be_mallory,
    it_reads_her_requests_too,
)


async def _shows(place: Scene, server: Process, made: Callable[[Took], Proof]) -> StopReason:
    """It tells the wrapper that it is anna's, and passes on what was made for her."""
    took = await place.mallory(server, ["bind", "anna"])
    assert took is not None
    shown = await place.mallory(server, _step(made(took)))
    assert shown is not None
    assert shown.did == ["login_proof_refused"]
    assert await place.mallory(server, LOGIN) is None
    return StopReason.UNPROVED


async def it_shows_what_she_showed_an_earlier_server(
    place: Scene, server: Process, earlier: Proof
) -> StopReason:
    return await _shows(place, server, lambda _took: earlier)


async def mallory_signs_for_her(place: Scene, server: Process, _: Proof) -> StopReason:
    own = place.certificates.user(MALLORY)
    return await _shows(place, server, lambda took: took.signed(own, "anna"))


async def mallorys_meter_signs_for_her(place: Scene, server: Process, _: Proof) -> StopReason:
    own = place.certificates.user(MALLORY, Role.METER)
    return await _shows(place, server, lambda took: took.signed(own, "anna"))


async def mallory_signs_and_shows_her_certificate(
    place: Scene, server: Process, _: Proof
) -> StopReason:
    """Every server that she was at knows it."""
    own, hers = place.certificates.user(MALLORY), place.certificates.user("anna")
    return await _shows(place, server, lambda took: (_der(hers), took.signed(own, "anna")[1]))


async def a_foreign_authority_has_certified_her(
    place: Scene, server: Process, _: Proof
) -> StopReason:
    directory = place.directory / f"foreign-{server.boot_id}"
    directory.mkdir()
    foreign = Certificates.create(directory).user("anna")
    return await _shows(place, server, lambda took: took.signed(foreign, "anna"))


async def her_certificate_has_ended(place: Scene, server: Process, _: Proof) -> StopReason:
    """The key is hers, from long ago."""
    files, key = place.directory / "old.pem", place.directory / "old-key.pem"
    made = pki.new_key()
    ended = place.certificates.users.issue(
        made.public_key(), Identity(Role.CUSTOMER, Uid("anna")), pki.Usage(client=True), -_SECOND
    )
    files.write_bytes(pki.certificate_pem(ended))
    key.write_bytes(pki.key_pem(made))
    old = TlsFiles(certificate=files, key=key, authorities=place.certificates.servers_ca)
    return await _shows(place, server, lambda took: took.signed(old, "anna"))


async def she_signs_for_it_at_another_server(place: Scene, server: Process, _: Proof) -> StopReason:
    """The other one, taken over as well, passes on what this one wants to have proved; the key that she sees is its."""
    other = await eventually(
        lambda: [
            each
            for each in processes(place.wrapper, State.READY)
            if each.boot_id != server.boot_id and each.bound is None
        ],
        "another server waits",
        deadline=_SLOW,
    )
    async with Client(place.certificates, other[0], "anna") as anna:
        await anna.get("login-challenge")
        its = anna.server_certificate().public_bytes(Encoding.DER)
    hers = place.certificates.user("anna")
    return await _shows(
        place, server, lambda took: replace(took, certificate=its).signed(hers, "anna")
    )


_ATTACKS_UNTOLD: Final[tuple[Attack, ...]] = (
    it_shows_what_she_showed_an_earlier_server,
    mallory_signs_for_her,
    mallorys_meter_signs_for_her,
    mallory_signs_and_shows_her_certificate,
    a_foreign_authority_has_certified_her,
    her_certificate_has_ended,
    she_signs_for_it_at_another_server,
)


async def test_a_server_that_waits_for_its_next_victim_is_ended_by_its_wrapper(
    tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one rule of these that a server keeps by itself, as long as it is not taken over."""
    monkeypatch.setenv("SMARTGRID_LOGIN_DEADLINE", "1000")
    async with scene(tmp_path, certificates, monkeypatch, bound_login=0.5) as place:
        server = await place.server()
        assert await place.mallory(server, ["bind", MALLORY]) is not None
        assert await place.ends(server) is StopReason.NO_LOGIN


async def test_the_operator_learns_of_it(
    tmp_path: Path,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with scene(tmp_path, certificates, monkeypatch) as place:
        server = await place.server()
        await place.mallory(server, LOGIN)
        await place.ends(server)
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{place.wrapper.url}/metrics") as metrics,
        ):
            shown = await metrics.text()
    assert 'standby_app_wrapper_stops_total{reason="unproved"} 1.0' in shown
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    said = record.__dict__["fields"]
    assert (record.message, said["reason"], said["bound"]) == (
        "server_changed",
        "unproved",
        MALLORY,
    )
    assert "LOGIN anna without a proof of anna" in said["why"]
