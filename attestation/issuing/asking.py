"""The server's proofs, and the certificate that it gets for them over the channel to its wrapper.

`Holder` has the process's key and proves what the process is: for its certificate, at the start and whenever that is to
be renewed, and for clients.

Invariants: the key never leaves the process, and is the same for as long as the process lives. Every proof is bound to
it, to the challenge and to the process (`attestation.binding`). A certificate for another key is not taken.

Not promised: that the wrapper is honest. It runs on the host, and what it says decides only whether this process gets a
certificate; who believes that certificate has to look at the evidence in it.
"""

import asyncio
import datetime as dt
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import assert_never

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from attestation.binding import Binding, report_data
from attestation.errors import EvidenceUnavailableError
from attestation.evidence import Attester, Evidence
from attestation.gramine import GramineAttester
from attestation.issuer import Credential
from attestation.issuing.channel import Channel, RefusedError
from attestation.issuing.messages import (
    Begin,
    Challenge,
    Issued,
    Proof,
    Quoted,
    QuoteWanted,
    Source,
)
from standby import deadlines, pki
from standby.hardening import Layer, Outcome
from standby.ids import BootId


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

    async def obtain(self, hardening: Mapping[Layer, Outcome]) -> Credential:
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
            policy=issued.policy,
            begins=now,
        )


def _spki(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
