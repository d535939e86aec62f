"""Whom the process is bound to, and the user's proof at LOGIN, told to the wrapper over the channel.

The wrapper learns of a user before the process reads a byte of their requests, and takes the process's LOGIN only after
it has verified this user's proof. The process itself verifies nothing: it could be the one that was taken over.

A process without a channel tells nobody, and asks for no proof (`Believed`).
"""

from dataclasses import dataclass
from typing import Protocol

from attestation.issuing.channel import Channel, ChannelError, RefusedError
from attestation.issuing.messages import LONGEST_CERTIFICATE, Bind, Bound, LoginProof, Proved
from smartgrid_server.errors import ProofRefusedError, ProofUnavailableError
from standby import deadlines
from standby.identity import NEW_CERTIFICATE
from standby.ids import Uid


@dataclass(frozen=True, slots=True)
class Shown:
    """A user's proof with the certificate that TLS has verified, in DER."""

    nonce: str
    signature: bytes
    certificate: bytes


class Prover(Protocol):
    """Who is told of users, and believes their proofs."""

    async def bind(self, uid: Uid) -> str | None:
        """The nonce for the user's proof, in hex; None: no proof is needed.

        Raises:
            ProofUnavailableError: the wrapper cannot be told, so the process is of no use.
        """

    async def prove(self, shown: Shown) -> None:
        """Return if the wrapper believes the proof.

        Raises:
            ProofRefusedError: it does not.
            ProofUnavailableError: it cannot be asked.
        """


class Believed:
    """Without a channel to the wrapper."""

    async def bind(self, _uid: Uid) -> str | None:
        """Tell nobody."""
        return None

    async def prove(self, shown: Shown) -> None:
        """Believe it."""


class ChannelProver:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def bind(self, uid: Uid) -> str | None:
        """See `Prover`."""
        try:
            bound = await self._channel.ask(Bind(uid), Bound, deadlines.ATTEST_ANSWER)
        except (ChannelError, RefusedError) as error:
            raise ProofUnavailableError("this server cannot serve you; connect again") from error
        return bound.nonce.hex()

    async def prove(self, shown: Shown) -> None:
        """See `Prover`."""
        if len(shown.certificate) > LONGEST_CERTIFICATE:
            raise ProofRefusedError(
                f"your certificate has more than {LONGEST_CERTIFICATE} bytes; {NEW_CERTIFICATE}"
            )
        proof = LoginProof(shown.certificate, shown.signature)
        try:
            await self._channel.ask(proof, Proved, deadlines.ATTEST_ANSWER)
        except (ChannelError, RefusedError) as error:
            if isinstance(error, RefusedError) and error.reason == ProofRefusedError.code:
                raise ProofRefusedError(f"your proof is not accepted: {error.text}") from error
            raise ProofUnavailableError(
                "the platform cannot verify your proof now; connect again"
            ) from error
