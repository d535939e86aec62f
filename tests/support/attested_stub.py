"""The stub of the server with evidence about itself, true or not, and everything that arrived, by connection."""

import asyncio
import base64
import datetime as dt
import json
import ssl
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from attestation import extension
from attestation.binding import Binding, report_data
from attestation.collateral import Collateral
from attestation.evidence import DCAP_V3, Evidence
from attestation.quote import EnclaveIdentity
from attestation.signed_policy import SignedPolicy
from attestation.soft.collateral import issue
from attestation.soft.platform import SoftPlatform
from attestation.trust_files import ROOT_FILE
from smartgrid_client.messages import Shown
from standby import pki
from standby.identity import Identity, Role
from standby.ids import parse_uid
from tests.support.certificates import Certificates
from tests.support.smartgrid_stub import SmartGridStub, refusal

BOOT_ID: Final = "00000000000000ab"
SMARTGRID: Final = EnclaveIdentity(mrenclave=b"\xa1" * 32, mrsigner=b"\xb2" * 32)
CHANGED: Final = EnclaveIdentity(mrenclave=b"\xa2" * 32, mrsigner=b"\xb2" * 32)
TAG: Final = b"\x0f" * 32
_POLICY: Final = """
version = 3
root = "simulated"
one_user_per_process = true
maximum_evidence_age_seconds = 600
accepted_tcb = ["UpToDate"]
testing = true

[[variant]]
name = "smartgrid"
mrenclave = ["{measurement}"]
"""


@dataclass(frozen=True)
class Prover:
    """What a server process has to prove itself with; `replace` makes a liar of it."""

    platform: SoftPlatform
    key: pki.PrivateKey
    collateral: Collateral | None
    process: EnclaveIdentity = SMARTGRID

    @classmethod
    def create(cls, now: float | None = None) -> "Prover":
        """`now`: Unix seconds from which on what it shows is valid; None: the present."""
        made = dt.datetime.now(dt.UTC) if now is None else dt.datetime.fromtimestamp(now, dt.UTC)
        platform = SoftPlatform.create(made)
        return cls(platform, pki.new_key(), issue(platform, made))

    @property
    def public_key(self) -> bytes:
        return self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def shown(self, challenge: bytes | None) -> tuple[Evidence, bytes]:
        """Evidence and claims."""
        claims = Binding.of_key(self.public_key, nonce=challenge, instance=BOOT_ID).claims()
        return Evidence(DCAP_V3, self.platform.quote(self.process, report_data(claims))), claims

    def answer(self, challenge: bytes) -> dict[str, Any]:
        evidence, claims = self.shown(challenge)
        collateral = None if self.collateral is None else _text(self.collateral.to_json())
        said = {"evidence": _text(evidence.data), "claims": _text(claims)}
        return {"format": evidence.format, **said, "collateral": collateral}

    def reply(self, challenge: bytes) -> Shown:
        """The same as the client decodes it."""
        evidence, claims = self.shown(challenge)
        collateral = None if self.collateral is None else self.collateral.to_json()
        return Shown(
            format=evidence.format, evidence=evidence.data, claims=claims, collateral=collateral
        )

    def certificate(self, authority: pki.Authority, uid: str, *, evidence: bool = True) -> bytes:
        """In DER."""
        return authority.issue(
            self.key.public_key(),
            Identity(Role.SERVER, parse_uid(uid)),
            pki.Usage(server=True),
            dt.timedelta(minutes=30),
            hosts=[uid],
            extensions=[extension.made(*self.shown(None))] if evidence else [],
        ).public_bytes(serialization.Encoding.DER)

    def with_collateral_of(self, moment: dt.datetime) -> "Prover":
        return replace(self, collateral=issue(self.platform, moment))

    def trusted_in(self, directory: Path) -> Path:
        """A policy file that admits this process, with the platform's root beside it."""
        directory.mkdir(exist_ok=True)
        (directory / ROOT_FILE).write_bytes(self.platform.root_pem)
        file = directory / "policy.toml"
        file.write_text(_POLICY.format(measurement=self.process.mrenclave.hex()))
        return file

    def context(
        self, certificates: Certificates, uid: str, directory: Path, *, evidence: bool = True
    ) -> ssl.SSLContext:
        """TLS 1.3 as a server with this key shows it to `uid`; with session tickets, as a careless server has it."""
        authority = pki.Authority.load(certificates.issuer_certificate, certificates.issuer_key)
        leaf = x509.load_der_x509_certificate(self.certificate(authority, uid, evidence=evidence))
        file = directory / f"attested-{uid}.pem"
        chain = (leaf, *authority.chain)
        pem = b"".join(pki.certificate_pem(each) for each in chain)
        pki.write_private(file, pem + pki.key_pem(self.key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(file)
        context.load_verify_locations(certificates.users_ca)
        context.verify_mode = ssl.CERT_REQUIRED
        return context


Handler = Callable[[web.Request], web.StreamResponse]


@dataclass
class AttestedStub(SmartGridStub):
    """Answers challenges, and remembers what each connection brought."""

    prover: Prover = field(default_factory=Prover.create)
    challenges: list[bytes] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    misbehaviour: deque[Handler] = field(default_factory=deque)
    """What happens to the next challenges instead of an answer."""
    after_answer: deque[Callable[[web.Request, web.Response], None]] = field(default_factory=deque)
    """What is done to the next answers to challenges."""
    arrived: defaultdict[asyncio.Transport, list[str]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """Operations by connection, challenges included."""
    resumed: list[bool] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    """Of LOGINs."""
    says: dict[str, Any] = field(default_factory=dict)
    """What LOGIN's answer has besides."""
    on_login: Callable[[], None] = lambda: None
    """Called after the next LOGIN was carried out and before it is answered."""
    older_data: bool = False
    policy: SignedPolicy | None = None
    """Sent along with evidence."""
    tag: bytes = TAG

    async def handle(self, request: web.Request) -> web.StreamResponse:
        operation = request.match_info["operation"]
        assert request.transport is not None
        self.arrived[request.transport].append(operation)
        if operation != "attest":
            return await super().handle(request)
        self.resumed.append(request.transport.get_extra_info("ssl_object").session_reused)
        if self.misbehaviour:
            return self.misbehaviour.popleft()(request)
        challenge = base64.b64decode((await request.json())["challenge"])
        self.challenges.append(challenge)
        answer = {**self.prover.answer(challenge), "login": self.login_challenge}
        if self.policy is not None:
            parts = {"text": self.policy.text, "signature": self.policy.signature}
            answer["policy"] = {name: _text(part) for name, part in parts.items()}
        self.answers.append(answer)
        response = web.json_response(answer)
        if self.after_answer:
            self.after_answer.popleft()(request, response)
        return response

    @property
    def unverified(self) -> list[list[str]]:
        """Connections that brought something before a challenge."""
        return [each for each in self.arrived.values() if each[0] != "attest"]

    def _login(self, body: dict[str, Any]) -> web.Response:
        self.bodies.append(body)
        if self.older_data and not body.get("accept_older"):
            return refusal(409, "older_data")
        response = super()._login(body)
        self.on_login()
        if response.status != 200:
            return response
        assert isinstance(response.body, bytes)
        return web.json_response({**json.loads(response.body), **self.says})

    def _changed(self, operation: str, token: str, body: dict[str, Any]) -> dict[str, Any]:
        reply = super()._changed(operation, token, body)
        if operation == "logout" and reply["ended"]:
            reply["freshness"] = {"generation": self.logins, "tag": _text(self.tag)}
        return reply


def close_after(_request: web.Request, response: web.Response) -> None:
    """The server ends the connection in good order, as soon as it has proved itself."""
    response.force_close()


def dropping_after(delay: float) -> Callable[[web.Request, web.Response], None]:
    """The connection breaks so many seconds after the answer was made, wherever the next request is then."""

    def drop(request: web.Request, _: web.Response) -> None:
        assert request.transport is not None
        asyncio.get_running_loop().call_later(delay, request.transport.abort)

    return drop


def padding(size: int) -> Handler:
    """A body of that many bytes."""
    return lambda _: web.Response(body=b" " * size, content_type="application/json")


def refusing(status: int, code: str) -> Handler:
    return lambda _: refusal(status, code)


def cutting(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
