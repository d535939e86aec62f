"""A small wrapper's end of a server's channel, with a real issuer and a simulated platform behind it. It can lie."""

import asyncio
import contextlib
import socket
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, assert_never

from attestation.issuing import messages
from attestation.issuing.issuer import Issuer, Unattested
from attestation.issuing.messages import (
    NONCE_SIZE,
    Answer,
    Begin,
    Bind,
    Bound,
    Challenge,
    Kept,
    LastSeen,
    Left,
    LoginProof,
    Opened,
    Proof,
    Proved,
    Quoted,
    QuoteWanted,
    Request,
    Seen,
    Source,
)
from attestation.quote import EnclaveIdentity
from attestation.soft.attester import SoftAttester
from attestation.soft.platform import SoftPlatform
from standby.ids import BootId, new_boot_id
from tests.unit.attestation.simulated import PROCESS

NONCE: Final = bytes(range(NONCE_SIZE))


class Fault(Enum):
    """What happens to a request instead of an answer."""

    SILENCE = "nothing"
    CLOSED = "the channel is closed"


Instead = Answer | bytes | Fault


@dataclass
class WrapperEnd:
    """Answers one server's requests. Those of a kind in `instead` are answered so, raw bytes as they are."""

    issuer: Issuer | Unattested
    platform: SoftPlatform | None = None
    """None: attestation is off."""
    process: EnclaveIdentity = PROCESS
    """What the platform says that the server is."""
    boot_id: BootId = field(default_factory=new_boot_id)
    instead: dict[type[Request], Instead] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)

    def kinds(self) -> list[type[Request]]:
        return [type(each) for each in self.asked]

    async def attend(self, channel: socket.socket) -> None:
        """Until the server closes its end, which closes this one."""
        loop = asyncio.get_running_loop()
        channel.settimeout(0)
        with channel, contextlib.suppress(ConnectionError):
            while packet := await loop.sock_recv(channel, messages.LONGEST):
                request = messages.read_request(packet)
                self.asked.append(request)
                answer = self.instead.get(type(request)) or self._answer(request)
                if answer is Fault.CLOSED:
                    return
                if not isinstance(answer, Fault):
                    raw = answer if isinstance(answer, bytes) else messages.encode(answer)
                    await loop.sock_sendall(channel, raw)

    def _answer(self, request: Request) -> Answer:
        match request:
            case Begin():
                source = Source.NOBODY if self.platform is None else Source.PLATFORM
                return Challenge(self.issuer.challenge(self.boot_id), source)
            case QuoteWanted(report_data):
                assert self.platform is not None
                return Quoted(SoftAttester(self.platform, self.process).evidence(report_data))
            case Proof():
                return self.issuer.judge(self.boot_id, request).answer
            case _:
                return _believed(request)


def _believed(request: Bind | LoginProof | LastSeen | Opened | Left) -> Answer:
    """As a wrapper answers that believes its servers."""
    match request:
        case Bind():
            return Bound(NONCE)
        case LoginProof():
            return Proved()
        case LastSeen():
            return Seen(None)
        case Opened() | Left():
            return Kept()
        case _:
            assert_never(request)


def pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
