"""What a server that asks over its channel is answered, and what its wrapper learns by that.

Blocking, and called in a thread: it signs, verifies, hashes files and writes logs. One server's requests come one after
another; those of several servers come at the same time.

A server is told about, and may tell of, no database but that of the user whom its wrapper gave it, under the generation
of its claim. So one that was taken over can spoil the record of its own user, whose data it has anyhow, but nobody
else's.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol, assert_never

from app_wrapper.events import Attested, DataClosed, DataOpened, NotAttested, Said
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
    Challenge,
    Issued,
    Kept,
    LastSeen,
    Left,
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
from standby.hardening import Layer, Outcome
from standby.ids import BootId, Generation, Uid

OFF: Final = "off"
"""What a server was admitted by where nothing is attested."""
SOONEST_RENEWAL: Final = 25.0
"""Seconds between two proofs of a server, however they went; one that proves more often would fill the audit log. Less
than `deadlines.ATTEST_RETRY`."""
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


class OtherUserError(ForbiddenError):
    """A server may tell of the database of its own user only."""

    code = "other_user"


class Issues(Protocol):
    """`attestation.issuing.issuer.Issuer`, or the one that asks for no evidence."""

    def challenge(self, instance: BootId) -> bytes: ...
    def judge(self, instance: BootId, proof: Proof) -> Judged: ...
    def forget(self, instance: BootId) -> None: ...


@dataclass(slots=True)
class Attended:
    """One server, as its wrapper knows it."""

    boot_id: BootId
    measure: Callable[[], str]
    """The measurement of its launch; hashes files, so it is asked for once."""
    hardening: dict[Layer, Outcome] = field(default_factory=dict)
    judged_at: float | None = None
    """When its last proof was looked at, by the registrar's clock."""
    opened: Opened | None = None
    """What it said last of its user's database, if it has not said since that it closed it."""
    attester: Attester | None = None
    """Speaks about what was measured; None: nobody has asked yet."""


Tell = Callable[[Said], None]


class Registrar:
    """For all servers of a wrapper."""

    def __init__(
        self,
        issuer: Issues,
        source: Source,
        attester: Callable[[str], Attester],
        freshness: FreshnessStore,
        process: Callable[[BootId], Process | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`attester` speaks about a process of this measurement; `process` is what the pool knows of one."""
        self._issuer = issuer
        self._source = source
        self._attester = attester
        self._freshness = freshness
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
            return Refused.because(error.code, str(error))

    def gone(self, boot_id: BootId) -> None:
        self._issuer.forget(boot_id)

    def _answer(self, server: Attended, request: Request, tell: Tell) -> Answer:
        match request:
            case Begin(hardening):
                server.hardening = hardening
                return Challenge(self._issuer.challenge(server.boot_id), self._source)
            case QuoteWanted(report_data):
                return Quoted(self._spokesman(server).evidence(report_data))
            case Proof():
                return self._judged(server, request, tell)
            case LastSeen(uid):
                self._check_user(server, uid)
                return Seen(self._freshness.last_seen(uid))
            case Opened(uid, generation):
                self._check_user(server, uid, generation)
                if server.opened != request:
                    self._freshness.opened(uid, generation)
                    server.opened = request
                    tell(DataOpened())
                return Kept()
            case Left(uid, generation, tag):
                self._check_user(server, uid, generation)
                self._freshness.left(uid, generation, tag)
                server.opened = None
                tell(DataClosed())
                return Kept()
            case _:
                assert_never(request)

    def _spokesman(self, server: Attended) -> Attester:
        if self._source is not Source.PLATFORM:
            raise EvidenceUnavailableError("this wrapper has no platform that gives evidence")
        if server.attester is None:
            server.attester = self._attester(server.measure())
        return server.attester

    def _judged(self, server: Attended, proof: Proof, tell: Tell) -> Answer:
        now = self._clock()
        if server.judged_at is not None and now - server.judged_at < SOONEST_RENEWAL:
            return Refused("too_often", f"one proof in {SOONEST_RENEWAL:g} s, no more")
        server.judged_at = now
        judged = self._issuer.judge(server.boot_id, proof)
        if isinstance(judged.answer, Issued):
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
