"""A simulated platform, servers that are measured by it, and a wrapper that certifies them, for these tests."""

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attestation import binding
from attestation.audit import LOG_FILE, AuditLog
from attestation.binding import Binding
from attestation.claims import Root, TcbStatus
from attestation.collateral import Collateral
from attestation.evidence import Attester
from attestation.issuing.issuer import Issuer, Judged, authority_name
from attestation.issuing.messages import Issued, Proof, Refused
from attestation.policy import Policy, Variant
from attestation.quote import EnclaveIdentity
from attestation.signed_policy import SignedPolicy
from attestation.soft.attester import SoftAttester
from attestation.soft.collateral import CollateralIssuer, Standing
from attestation.soft.platform import SoftPlatform
from attestation.trust import Trust
from attestation.verdicts import Verdict
from attestation.verify import PinnedRoot
from standby import pki
from standby.ids import BootId, new_boot_id
from tests.unit.attestation.simulated import PROCESS

DAY: Final = dt.timedelta(days=1)
SERVER: Final = pki.Usage(server=True)
POLICY: Final = Policy(
    version=3,
    root=Root.SIMULATED,
    one_user_per_process=True,
    maximum_evidence_age_seconds=600,
    accepted_tcb=(TcbStatus.UP_TO_DATE,),
    variants=(Variant(name="smartgrid", mrenclave=(PROCESS.mrenclave.hex(),)),),
    testing=True,
)
SIGNER: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def spki(key: pki.PrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@dataclass
class Clock:
    now: float

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Server:
    """A process with a key of its own, and somebody who gives evidence about it."""

    attester: Attester
    boot_id: BootId = field(default_factory=new_boot_id)
    key: pki.PrivateKey = field(default_factory=pki.new_key)

    def proof(self, nonce: bytes) -> Proof:
        claims = Binding.of_key(spki(self.key), nonce=nonce, instance=self.boot_id).claims()
        evidence = self.attester.evidence(binding.report_data(claims))
        return Proof(public_key=spki(self.key), claims=claims, evidence=evidence)


@dataclass
class World:
    """One wrapper; each part can be exchanged before `issuer` is made."""

    directory: Path
    audit: AuditLog
    platform: SoftPlatform
    clock: Clock
    trust: Trust
    collateral: Callable[[float], Collateral]
    root: pki.Authority
    """Of servers' certificates: what clients trust."""
    newest_policy: SignedPolicy | None = None
    """What servers pass on to clients; it may be exchanged at any time."""

    def issuer(self, authority: pki.Authority | None = None) -> Issuer:
        authority = authority or self.authority(self.trust)
        return Issuer(
            authority,
            self.trust,
            self.collateral,
            self.audit,
            self.clock,
            lambda: self.newest_policy,
        )

    def authority(self, trust: Trust | None, lifetime: dt.timedelta = DAY) -> pki.Authority:
        return self.root.intermediate(authority_name(trust), lifetime, SERVER, path_length=1)

    def server(self, process: EnclaveIdentity = PROCESS) -> Server:
        return Server(SoftAttester(self.platform, process))

    def with_standing(self, standing: Standing) -> None:
        self.collateral = supply(self.platform, standing)

    def verdicts(self) -> list[Verdict]:
        """What is in the audit log."""
        lines = (self.directory / LOG_FILE).read_bytes().splitlines()
        bodies = [msgspec.json.decode(line)["entry"]["body"] for line in lines]
        return [msgspec.convert(body, Verdict) for body in bodies]


def supply(
    platform: SoftPlatform, standing: Standing | None = None
) -> Callable[[float], Collateral]:
    owner = CollateralIssuer(platform, standing)
    return lambda now: owner.at(dt.datetime.fromtimestamp(now, dt.UTC))


@contextlib.contextmanager
def made(directory: Path) -> Iterator[World]:
    platform = SoftPlatform.create()
    clock = Clock(time.time())
    with AuditLog.open(directory, SIGNER, clock) as audit:
        yield World(
            directory=directory,
            audit=audit,
            platform=platform,
            clock=clock,
            trust=Trust(POLICY, PinnedRoot.simulated(platform.root_pem)),
            collateral=supply(platform),
            root=pki.Authority.create("test servers", 2 * DAY),
        )


def judged(issuer: Issuer, server: Server) -> Judged:
    """The whole exchange of an honest server."""
    return issuer.judge(server.boot_id, server.proof(issuer.challenge(server.boot_id)))


def issued(found: Judged) -> Issued:
    assert isinstance(found.answer, Issued), found.answer
    return found.answer


def refused(found: Judged) -> Refused:
    assert isinstance(found.answer, Refused), "it got a certificate"
    return found.answer
