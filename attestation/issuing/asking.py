"""The server's end of the channel to its wrapper, and the certificate that it gets over it.

`Channel` asks one question at a time and waits for its answer, each with a deadline. `Holder` has the process's key and
proves what the process is: for its certificate, at the start and whenever that is to be renewed, and for clients.

Invariants: the key never leaves the process, and is the same for as long as the process lives. Every proof is bound to
it, to the challenge and to the process (`attestation.binding`). A certificate for another key is not taken. After an
answer that was missed, could not be read or does not fit the question nothing more is asked: the next packet might be
the answer to an older question. Whoever waits for `lost` learns of that, and of a wrapper that closed its end, also
while nothing is asked; only before the first question nobody looks.

Not promised: that the wrapper is honest. It runs on the host, and what it says decides only whether this process gets a
certificate; who believes that certificate has to look at the evidence in it.

PlatformError
└── AttestationError
    ├── ChannelError (503)    channel_lost    no answer, or one that breaks the rules; another process may do better
    └── RefusedError (403)    refused         the wrapper says no, with a code of its own (`reason`)

Rejected: streams of asyncio over the socket. They keep no packets apart, and cost a waiting server two buffers.
"""

import asyncio
import contextlib
import datetime as dt
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar, assert_never

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from attestation.binding import Binding, report_data
from attestation.errors import AttestationError, EvidenceUnavailableError
from attestation.evidence import Attester, Evidence
from attestation.gramine import GramineAttester
from attestation.issuer import Credential
from attestation.issuing.messages import (
    LONGEST,
    Answer,
    Begin,
    Challenge,
    Issued,
    Proof,
    Quoted,
    QuoteWanted,
    Refused,
    Request,
    Source,
    answers,
    encode,
)
from standby import deadlines, pki
from standby.ids import BootId

_CLOSED: Final = "the wrapper has closed the channel"
AnswerT = TypeVar("AnswerT", bound=Answer)


class ChannelError(AttestationError):
    """Nothing can be asked over the channel any more."""

    code = "channel_lost"
    status = 503
    retry = True


class RefusedError(AttestationError):
    """The wrapper's no; asked again, it may say something else."""

    code = "refused"

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(f"{reason}: {text}")
        self.reason = reason
        self.text = text


class Channel:
    """One process's questions; used in one event loop."""

    def __init__(self, fd: int) -> None:
        """`fd`: an inherited descriptor, which is the channel's from now on.

        Raises:
            OSError: it is not an open socket.
            ValueError: it is a socket of another kind.
        """
        self._socket = socket.socket(fileno=fd)
        if (self._socket.family, self._socket.type) != (socket.AF_UNIX, socket.SOCK_SEQPACKET):
            self._socket.close()
            raise ValueError(f"descriptor {fd} is not a Unix socket of packets")
        self._socket.settimeout(0)
        self.lost = asyncio.Event()
        """Set when nothing can be asked any more, unless this end was only closed."""
        self._turn = asyncio.Lock()
        self._ended = ""
        self._watching: asyncio.AbstractEventLoop | None = None
        self._waiting: asyncio.Future[None] | None = None
        """Of the question that was asked, until there is something to read."""

    async def ask(self, request: Request, kind: type[AnswerT], timeout: float) -> AnswerT:
        """The answer, `timeout` seconds after it was this request's turn at the latest.

        A caller that is cancelled while it is his turn takes the channel with him.

        Raises:
            RefusedError: the wrapper says no.
            ChannelError: the channel is of no use any more; the text says since when.
        """
        async with self._turn:
            answer = await self._answer(encode(request), timeout)
        if isinstance(answer, kind):
            return answer
        if isinstance(answer, Refused):
            raise RefusedError(answer.code, answer.text)
        raise self.lose(f"the wrapper answered {type(request).__name__} by {type(answer).__name__}")

    def lose(self, why: str) -> ChannelError:
        """End the channel, because its other end broke the rules; gives the error to raise."""
        self._ended = self._ended or why
        self.close()
        self.lost.set()
        return ChannelError(why)

    def close(self) -> None:
        """Nobody may be waiting for an answer."""
        self._ended = self._ended or "the channel was closed"
        if self._watching is not None and not self._watching.is_closed():
            self._watching.remove_reader(self._socket)
        self._watching = None
        self._socket.close()

    async def _answer(self, packet: bytes, timeout: float) -> Answer:
        if self._ended:
            raise ChannelError(self._ended)
        try:
            async with asyncio.timeout(timeout):
                return await self._exchange(packet)
        except TimeoutError as error:
            raise self.lose(f"the wrapper gave no answer within {timeout:g} s") from error
        except (OSError, msgspec.MsgspecError) as error:
            raise self.lose(_failed(error)) from error
        except asyncio.CancelledError:
            self.lose("nobody waited for the last answer")
            raise

    async def _exchange(self, packet: bytes) -> Answer:
        self._expect_silence()
        self._watch()
        self._socket.send(packet)  # there is room: the last request was answered, so it was read
        answer: Answer = answers.decode(await self._next_packet())
        return answer

    async def _next_packet(self) -> bytes:
        while True:
            try:
                packet = self._socket.recv(LONGEST + 1)
            except BlockingIOError:
                await self._something_to_read()
                continue
            if not packet:
                raise ConnectionError(_CLOSED)
            if len(packet) > LONGEST:
                raise ConnectionError(f"an answer has more than {LONGEST} bytes")
            return packet

    async def _something_to_read(self) -> None:
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _watch(self) -> None:
        """From the first question to the end."""
        if self._watching is None:
            self._watching = asyncio.get_running_loop()
            self._watching.add_reader(self._socket, self._readable)

    def _readable(self) -> None:
        if self._waiting is None:
            self._interrupted()
        elif not self._waiting.done():
            self._waiting.set_result(None)

    def _interrupted(self) -> None:
        try:
            self._expect_silence()
        except OSError as error:
            self.lose(_failed(error))

    def _expect_silence(self) -> None:
        with contextlib.suppress(BlockingIOError):  # which is how a quiet channel answers
            early = self._socket.recv(1)
            raise ConnectionError("the wrapper spoke without being asked" if early else _CLOSED)


class Holder:
    """The process's key, and what it is given for it."""

    def __init__(
        self,
        channel: Channel,
        boot_id: BootId,
        attester: Attester | None = None,
    ) -> None:
        """Makes the key. `attester`, else Gramine's, is asked if the wrapper says that the process has its own."""
        self._channel = channel
        self._boot_id = boot_id
        self._attester = attester or GramineAttester()
        self._key = pki.new_key()
        self._public_key = _spki(self._key.public_key())
        self._source = Source.NOBODY
        self._proving = asyncio.Lock()

    async def obtain(self, hardening: Mapping[str, str]) -> Credential:
        """A certificate, for the first time or anew; `hardening` is what the process gave up, by layer.

        Raises:
            RefusedError: the wrapper does not certify this process; asked again, it may.
            EvidenceUnavailableError: there is nothing to prove it by.
            ChannelError: the wrapper cannot be asked.
        """
        begin = Begin(dict(hardening))
        challenge = await self._channel.ask(begin, Challenge, deadlines.ATTEST_ANSWER)
        self._source = challenge.source
        proof = await self.prove(challenge.nonce)
        issued = await self._channel.ask(proof, Issued, deadlines.ATTEST_ANSWER)
        return self._credential(proof, issued)

    async def prove(self, nonce: bytes) -> Proof:
        """What this process is, as an answer to a challenge; one at a time. The evidence is None if nobody gives any.

        Raises:
            RefusedError, EvidenceUnavailableError, ChannelError: there is no evidence now.
        """
        binding = Binding.of_key(self._public_key, nonce=nonce, instance=self._boot_id)
        claims = binding.claims()
        async with self._proving:
            evidence = await self._evidence(report_data(claims))
        return Proof(self._public_key, claims, evidence)

    async def _evidence(self, data: bytes) -> Evidence | None:
        match self._source:
            case Source.PLATFORM:
                quoted = await self._channel.ask(
                    QuoteWanted(data), Quoted, deadlines.ATTEST_EVIDENCE
                )
                return quoted.evidence
            case Source.GRAMINE:
                return await self._own_evidence(data)
            case Source.NOBODY:
                return None
            case _:
                assert_never(self._source)

    async def _own_evidence(self, data: bytes) -> Evidence:
        """In a thread, because the machine's quoting service may take seconds.

        The thread ends with its work: one that is there at LOGIN would keep rights that the process gives up then.
        """
        thread = ThreadPoolExecutor(1, "evidence")
        call = asyncio.get_running_loop().run_in_executor(thread, self._attester.evidence, data)
        thread.shutdown(wait=False)
        try:
            async with asyncio.timeout(deadlines.ATTEST_EVIDENCE):
                return await call
        except TimeoutError as error:
            raise EvidenceUnavailableError(
                f"the machine's quoting service gave no evidence within {deadlines.ATTEST_EVIDENCE:g} s"
            ) from error

    def _credential(self, proof: Proof, issued: Issued) -> Credential:
        now = dt.datetime.now(dt.UTC)
        try:
            chain = tuple(x509.load_der_x509_certificate(each) for each in issued.chain)
            ours = bool(chain) and _spki(chain[0].public_key()) == self._public_key
        except ValueError as error:
            raise self._channel.lose(
                f"the wrapper's certificates cannot be read: {error}"
            ) from error
        if not ours:
            raise self._channel.lose("the wrapper's certificate is not for this process's key")
        if chain[0].not_valid_after_utc <= now:
            raise RefusedError("expired", "the wrapper's certificate has ended already")
        return Credential(
            key=self._key,
            chain=chain,
            evidence=proof.evidence,
            claims=proof.claims,
            collateral=issued.collateral,
            begins=now,
        )


def _spki(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _failed(error: Exception) -> str:
    return f"the channel to the wrapper failed: {error}"
