"""The server's attestation: its certificate, at the start and anew, and evidence for clients who ask.

A server with a channel to its wrapper gets its certificate over it before it waits for a user, by proving what it is
(`attestation.issuing.asking`). When two thirds of the certificate's life are over it proves that again, with the same
key: open connections go on, new ones see the new certificate. A server that cannot renew tries again until the
certificate ends. Then it ends, unless somebody is logged in: a session goes on to its own end, because its connections
were made under a certificate that was good. A clock that was set back makes a renewal due, too, before anything that
was signed since seems to be of the future (`pki.CLOCK_SKEW`). A server that has lost its channel has nothing to wait
for: it ends as soon as nobody is logged in (`main`).

`POST /v1/attest` gives evidence that answers the client's own challenge, before he logs in: that in the certificate
may be as old as the certificate. Nobody is logged in by it, and the connection's deadline for LOGIN goes on. The
evidence is bound to the key that the connection was made with and to this process, not to the connection itself:
Python's `ssl` cannot export keying material (RFC 8446, 7.5), so there is no binder. Whoever has the process's key could
pass evidence on, and that key is in the process only.

What is asked for here costs a platform milliseconds or, on a real machine, its quoting service a turn. So a process
makes one piece of evidence at a time, and a few may wait.
"""

import asyncio
import datetime as dt
from collections.abc import Callable, Mapping
from typing import Annotated, Final

from aiohttp import web
from msgspec import Meta, Struct

from attestation.binding import MAX_SIZE as LONGEST_CLAIMS
from attestation.errors import AttestationError, EvidenceUnavailableError
from attestation.evidence import Data, Format
from attestation.issuer import Credential, ServerIssuer
from attestation.issuing.asking import Holder
from attestation.issuing.channel import ChannelError, RefusedError
from attestation.issuing.messages import LONGEST, Proof
from attestation.signed_policy import SignedPolicy
from smartgrid_server.messages import LoginChallenge
from standby import deadlines
from standby.errors import UnavailableError
from standby.hardening import Layer, Outcome
from standby.logs import EventLog

LINE: Final = 3
"""Challenges at once, with the one that is being answered; see `deadlines.SUMS`."""
Clock = Callable[[], dt.datetime]
log = EventLog(__name__)


class AttestRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /v1/attest`."""

    challenge: Annotated[
        bytes,
        Meta(min_length=16, max_length=64, description="random, for this request alone"),
    ]


class AttestReply(Struct, frozen=True, kw_only=True):
    format: Format
    evidence: Data
    claims: Annotated[bytes, Meta(max_length=LONGEST_CLAIMS)]
    """CBOR; the evidence carries their hash. They name the server's key, the challenge and the process."""
    collateral: Annotated[bytes, Meta(max_length=LONGEST)] | None
    """What else a verifier needs, as JSON; None: he gets it elsewhere."""
    login: LoginChallenge
    """What a LOGIN has to prove, so that a client who verifies needs no further request for it."""
    policy: SignedPolicy | None
    """The platform's newest, for clients with the key of its writer; None: it is not signed."""


class EvidenceBusyError(UnavailableError):
    """Others have asked for evidence, and it is made one piece at a time."""

    code = "evidence_busy"


class Attesting:
    """What this process shows of itself."""

    def __init__(
        self,
        issuer: ServerIssuer,
        holder: Holder | None = None,
        credential: Credential | None = None,
    ) -> None:
        """Without holder and credential: a server with an authority from files, which can prove nothing."""
        self.issuer = issuer
        self._holder = holder
        self._credential = credential
        self._line = 0

    @classmethod
    async def begun(cls, holder: Holder, hardening: Mapping[Layer, Outcome]) -> "Attesting":
        """With this process's first certificate.

        Raises:
            AttestationError: it does not get one.
        """
        credential = await holder.obtain(hardening)
        return cls(ServerIssuer.of(credential), holder, credential)

    async def show(self, challenge: bytes, login: LoginChallenge) -> AttestReply:
        """Evidence that answers the challenge, with what a LOGIN has to prove.

        Raises:
            EvidenceBusyError: too many want some.
            EvidenceUnavailableError: nobody gives any about this process.
        """
        holder, credential = self._holder, self._credential
        if holder is None or credential is None or credential.evidence is None:
            raise EvidenceUnavailableError(
                "this server is not attested: it has no evidence to show"
            )
        if self._line >= LINE:
            raise EvidenceBusyError("others are getting evidence from this server; try again")
        self._line += 1
        try:
            proof = await self._proof(holder, challenge)
        finally:
            self._line -= 1
        if proof.evidence is None:
            raise EvidenceUnavailableError("this server is not attested any more; connect again")
        return AttestReply(
            format=proof.evidence.format,
            evidence=proof.evidence.data,
            claims=proof.claims,
            collateral=credential.collateral,
            login=login,
            policy=credential.policy,
        )

    async def keep(
        self,
        hardening: Mapping[Layer, Outcome],
        idle: Callable[[], bool],
        end: Callable[[], None],
        clock: Clock = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        """Renew the certificate whenever that is due; returns when `end` was called, because it ended while `idle`."""
        if self._holder is None or self._credential is None:
            return
        failed, last = False, self._credential.begins
        while True:
            await asyncio.sleep(pause(self._credential, clock(), failed=failed))
            now = clock()
            set_back, last = now < last, now
            if not failed and not set_back and now < self._credential.renew_at:
                continue
            failed = not await self._renewed(self._holder, hardening)
            if failed and not self._credential.good_at(clock()) and idle():
                log.error("certificate_ended", text="it could not be renewed, and nobody is here")
                end()
                return

    async def _renewed(self, holder: Holder, hardening: Mapping[Layer, Outcome]) -> bool:
        try:
            self._credential = await holder.obtain(hardening)
        except AttestationError as error:
            log.warning("renewal_failed", code=_code(error), text=str(error))
            return False
        self.issuer.replace(self._credential)
        log.info("certificate_renewed", until=self._credential.ends.isoformat())
        return True

    async def _proof(self, holder: Holder, challenge: bytes) -> Proof:
        try:
            return await holder.prove(challenge)
        except (RefusedError, ChannelError, EvidenceUnavailableError) as error:
            log.warning("no_evidence", code=_code(error), text=str(error))
            raise EvidenceUnavailableError(
                "the platform gives no evidence about this server now; connect again"
            ) from error


ATTESTING: Final = web.AppKey("attesting", Attesting)


def pause(credential: Credential, now: dt.datetime, *, failed: bool) -> float:
    """Seconds until it is time to look after the certificate; `failed`: the last renewal has.

    Never long, because a machine that slept does not count that time, and never none.
    """
    if failed:
        left = (credential.ends - now).total_seconds()
        wanted = min(deadlines.ATTEST_RETRY, left) if left > 0 else deadlines.ATTEST_RETRY
    else:
        wanted = min(deadlines.ATTEST_CLOCK, (credential.renew_at - now).total_seconds())
    return max(wanted, _SHORTEST)


_SHORTEST: Final = 0.05
"""Seconds; the clock may be set back while a timer runs."""


def _code(error: AttestationError) -> str:
    return error.reason if isinstance(error, RefusedError) else error.code
