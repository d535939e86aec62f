"""A user's platform in small: the stub of the server behind a gate, and what the user needs to get in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from attestation import trust
from smartgrid_client.api import SmartGridClient
from smartgrid_client.connection import Address
from smartgrid_client.freshness import Memory
from smartgrid_client.retry import Policy
from smartgrid_client.session import Attempt, Session
from smartgrid_client.verifier import Verifier
from standby.identity import Role
from standby.ids import parse_uid
from standby.secret import Secret
from standby.tls import TlsFiles
from tests.support.attested_stub import AttestedStub, Prover
from tests.support.certificates import Certificates
from tests.support.smartgrid_stub import (
    KEY_HEX,
    Gate,
    SmartGridStub,
    running_gate,
    running_stub,
    server_context,
)

UID = "customer-0001"
QUICK = Policy(first=0.02, ceiling=0.05, deadline=5.0)


@dataclass
class Place:
    """Where the user is, and what the tests can do to the other side."""

    stub: SmartGridStub
    gate: Gate
    port: int
    tls: TlsFiles
    meter: TlsFiles
    """Of the user's meter."""
    attempts: list[Attempt] = field(default_factory=list)
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def key(self) -> Secret:
        return Secret.from_hex(KEY_HEX, 32)

    def client(
        self, uid: str = UID, *, request_timeout: float = 10.0, connect_timeout: float = 10.0
    ) -> SmartGridClient:
        return SmartGridClient(
            Address("127.0.0.1", self.port, parse_uid(uid)),
            self.tls,
            self.verifier,
            request_timeout=request_timeout,
            connect_timeout=connect_timeout,
        )

    @property
    def verifier(self) -> Verifier | None:
        return None

    def session(self, policy: Policy = QUICK, memory: Memory | None = None) -> Session:
        return Session(
            self.client(),
            self.key,
            self.attempts.append,
            stop=self.stop,
            policy=policy,
            memory=memory,
        )

    @property
    def codes(self) -> list[tuple[str, str]]:
        """(operation, code or ok) of every try."""
        return [
            (each.exchange.operation.value, getattr(each.exchange.outcome, "reason", "ok"))
            for each in self.attempts
        ]


@pytest.fixture
async def place(certificates: Certificates, tmp_path: Path) -> AsyncIterator[Place]:
    stub = SmartGridStub()
    context = server_context(certificates, UID, tmp_path)
    async with running_stub(stub, context) as address, running_gate(address) as (gate, port):
        yield Place(stub, gate, port, *_users(certificates))


def _users(certificates: Certificates) -> tuple[TlsFiles, TlsFiles]:
    return certificates.user(UID, Role.CUSTOMER), certificates.user(UID, Role.METER)


@dataclass
class AttestedPlace(Place):
    """The same with a server that proves what it is, and a user who asks for that."""

    stub: AttestedStub
    policy: Path = field(kw_only=True)

    @property
    def verifier(self) -> Verifier:
        return Verifier(trust.load(self.policy))


@asynccontextmanager
async def attested_place(
    certificates: Certificates, directory: Path, *, evidence: bool = True
) -> AsyncIterator[AttestedPlace]:
    """`evidence`: whether the certificate carries some."""
    stub = AttestedStub()
    context = stub.prover.context(certificates, UID, directory, evidence=evidence)
    async with running_stub(stub, context) as address, running_gate(address) as (gate, port):
        policy = stub.prover.trusted_in(directory / "trust")
        yield AttestedPlace(stub, gate, port, *_users(certificates), policy=policy)


@pytest.fixture
async def attested(certificates: Certificates, tmp_path: Path) -> AsyncIterator[AttestedPlace]:
    async with attested_place(certificates, tmp_path) as place:
        yield place


@pytest.fixture
def prover() -> Prover:
    """Of another platform and key than the server's."""
    return Prover.create()
