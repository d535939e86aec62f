"""What a server that asks over its channel is answered, and what its wrapper learns by that.

Blocking, and called in a thread: it signs, verifies, hashes files and writes logs. One server's requests come one after
another; those of several servers come at the same time.

A server says LOGIN only after its user has proved to be there: the wrapper verifies the proof here, with the nonce that
it made when the server was bound to this user, and the pool takes no LOGIN without it.

A server is told about, and may tell of, no database but that of the user whom its wrapper gave it, under the generation
of its claim. So one that was taken over can spoil the record of its own user, whose data it has anyhow, but nobody
else's.
"""

import time
from collections.abc import Callable
from typing import Final, Protocol, assert_never

from app_wrapper.attesting import logins
from app_wrapper.attesting.attended import Attended, Tell
from app_wrapper.attesting.logins import OtherUserError
from app_wrapper.attesting.users import Users
from app_wrapper.events import Attested, DataClosed, DataOpened, NotAttested, NotProved
from app_wrapper.process import Process
from attestation.audit import AuditError
from attestation.claims import Root
from attestation.errors import (
    CollateralError,
    CollateralExpiredError,
    CollateralNotYetValidError,
    CollateralUnavailableError,
    EvidenceUnavailableError,
    StaleNonceError,
)
from attestation.evidence import Attester
from attestation.issuing.freshness import FreshnessStore
from attestation.issuing.issuer import Judged
from attestation.issuing.messages import (
    Answer,
    Begin,
    Bind,
    Challenge,
    Issued,
    Kept,
    LastSeen,
    Left,
    LoginProof,
    Opened,
    Proof,
    Quoted,
    QuoteWanted,
    Refused,
    Request,
    Seen,
    Source,
)
from attestation.policy import Refusal
from attestation.verdicts import Verdict
from standby.errors import ForbiddenError, PlatformError
from standby.ids import BootId, Generation, Uid

OFF: Final = "off"
"""What a server was admitted by where nothing is attested."""
SOONEST_RENEWAL: Final = 25.0
"""Seconds between two proofs of a server, however they went, and between two tries to measure it; one that proves more
often would fill the audit log, or the wrapper's. Less than `deadlines.ATTEST_RETRY`."""
_PASSING: Final = frozenset(
    kind.code
    for kind in (
        AuditError,
        CollateralError,
        CollateralExpiredError,
        CollateralNotYetValidError,
        CollateralUnavailableError,
        StaleNonceError,
    )
)
"""Refusals that say nothing about the server: the next one may be admitted."""


_TOO_OFTEN: Final = Refused("too_often", f"one proof in {SOONEST_RENEWAL:g} s, no more")


class OtherServerKeyError(ForbiddenError):
    """A process has one key for its life."""

    code = "other_server_key"


class Issues(Protocol):
    """`attestation.issuing.issuer.Issuer`, or the one that asks for no evidence."""

    def challenge(self, instance: BootId) -> bytes: ...
    def judge(self, instance: BootId, proof: Proof) -> Judged: ...
    def forget(self, instance: BootId) -> None: ...


class Registrar:
    """For all servers of a wrapper."""

    def __init__(
        self,
        issuer: Issues,
        source: Source,
        attester: Callable[[str], Attester],
        freshness: FreshnessStore,
        users: Users,
        process: Callable[[BootId], Process | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`attester` speaks about a process of this measurement; `process` is what the pool knows of one."""
        self._issuer = issuer
        self._source = source
        self._attester = attester
        self._freshness = freshness
        self._users = users
        self._process = process
        self._clock = clock

    def answer(self, server: Attended, request: Request, tell: Tell) -> Answer:
        """The answer; refusals are answers, too. `tell` learns of the server before it does."""
        try:
            return self._answer(server, request, tell)
        except PlatformError as error:
            first_quote = isinstance(request, QuoteWanted) and server.attester is None
            if isinstance(request, Begin | Proof) or first_quote:
                tell(NotAttested(error.code, f"{error.code}: {error}", lasting=not error.retry))
            if isinstance(request, LoginProof) and server.proofs <= logins.MOST_PROOFS + 1:
                tell(NotProved(server.bound, error.code, str(error)))
            return Refused.because(error.code, str(error))

    def gone(self, boot_id: BootId) -> None:
        self._issuer.forget(boot_id)

    def _answer(self, server: Attended, request: Request, tell: Tell) -> Answer:
        match request:
            case Begin(hardening):
                server.hardening = hardening
                return Challenge(self._issuer.challenge(server.boot_id), self._source)
            case QuoteWanted(report_data):
                return self._quoted(server, report_data)
            case Proof():
                return self._judged(server, request, tell)
            case Bind(uid):
                return logins.bind(server, uid, tell)
            case LoginProof():
                return logins.prove(server, request, self._users, tell)
            case _:
                return self._of_data(server, request, tell)

    def _of_data(self, server: Attended, request: LastSeen | Opened | Left, tell: Tell) -> Answer:
        """About the database of the server's user."""
        match request:
            case LastSeen(uid):
                self._check_user(server, uid)
                return Seen(self._freshness.last_seen(uid))
            case Opened(uid, generation):
                self._check_user(server, uid, generation)
                if server.opened != request:
                    self._freshness.opened(uid, generation)
                    server.opened = request
                    tell(DataOpened())
            case Left(uid, generation, tag):
                self._check_user(server, uid, generation)
                self._freshness.left(uid, generation, tag)
                server.opened = None
                tell(DataClosed())
            case _:
                assert_never(request)
        return Kept()

    def _quoted(self, server: Attended, report_data: bytes) -> Answer:
        if server.attester is None:
            if self._too_soon(server.measured_at):
                return _TOO_OFTEN
            server.measured_at = self._clock()
        return Quoted(self._spokesman(server).evidence(report_data))

    def _too_soon(self, last: float | None) -> bool:
        return last is not None and self._clock() - last < SOONEST_RENEWAL

    def _spokesman(self, server: Attended) -> Attester:
        if self._source is not Source.PLATFORM:
            raise EvidenceUnavailableError("this wrapper has no platform that gives evidence")
        if server.attester is None:
            server.attester = self._attester(server.measure())
        return server.attester

    def _judged(self, server: Attended, proof: Proof, tell: Tell) -> Answer:
        if self._too_soon(server.judged_at):
            return _TOO_OFTEN
        server.judged_at = self._clock()
        if server.public_key not in {None, proof.public_key}:
            raise OtherServerKeyError("a process is certified for the key that it had at first")
        judged = self._issuer.judge(server.boot_id, proof)
        if isinstance(judged.answer, Issued):
            server.public_key = proof.public_key
            tell(Attested(_by(judged.verdict), server.hardening))
        else:
            tell(_refused(judged.answer, judged.verdict))
        return judged.answer

    def _check_user(self, server: Attended, uid: Uid, generation: Generation | None = None) -> None:
        process = self._process(server.boot_id)
        if process is None or process.uid != uid:
            raise OtherUserError("a server tells of the database of its own user only")
        if generation is not None and process.generation != generation:
            raise OtherUserError("a server tells of a database under its own claim only")


def _by(verdict: Verdict | None) -> str:
    if verdict is None:
        return OFF
    simulated = "SIMULATED, " if verdict.policy_root is Root.SIMULATED else ""
    return f"{simulated}policy {verdict.policy_version}"


def _refused(answer: Refused, verdict: Verdict | None) -> NotAttested:
    lasting = answer.code not in _PASSING
    if verdict is None or not verdict.reasons or not lasting:
        return NotAttested(answer.code, answer.text, lasting)
    why = "; ".join(reason.text for reason in verdict.reasons)
    first = verdict.reasons[0].refusal
    return NotAttested(answer.code if first is Refusal.EVIDENCE else first, why, lasting)
