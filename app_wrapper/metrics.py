"""The wrapper's metrics; names and units follow `standby.metrics`."""

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from app_wrapper.actions import Report
from app_wrapper.events import Attested, NotAttested, NotProved, Proved
from app_wrapper.process import Holding, Process
from app_wrapper.server_log import Rating
from app_wrapper.volumes.copies import Kept
from standby.lines import Denied, Volume
from standby.metrics import RECYCLE_BUCKETS, labelled
from standby.states import State, StopReason

_PREFIX = "standby_app_wrapper"
KindT = TypeVar("KindT", bound=StrEnum)


class ClaimOutcome(StrEnum):
    """What came of the claim of a user's volume; the refusals are the volume provider's codes."""

    GRANTED = "granted"
    UNKNOWN_USER = "unknown_user"
    CLAIMED_ELSEWHERE = "claimed_elsewhere"
    VOLUME_UNAVAILABLE = "volume_unavailable"
    VOLUME_DAMAGED = "volume_damaged"
    VOLUME_OVER_LIMIT = "volume_over_limit"
    OTHER = "other"


class LoginOutcome(StrEnum):
    """What came of a LOGIN, counted once, when it is known: a refusal at once, a session at its end."""

    SERVED = "served"
    """The session ended as sessions do: LOGOUT, expiry, idleness, a wrapper that leaves."""
    REFUSED = "refused"
    """By the server, to which the user's key was wrong."""
    UNKNOWN_USER = "unknown_user"
    CLAIMED_ELSEWHERE = "claimed_elsewhere"
    VOLUME_UNAVAILABLE = "volume_unavailable"
    VOLUME_DAMAGED = "volume_damaged"
    VOLUME_OVER_LIMIT = "volume_over_limit"
    DATA_DAMAGED = "data_damaged"
    OLDER_DATA = "older_data"
    STORAGE_FAILED = "storage_failed"
    NOT_OPENED = "not_opened"
    """The server was given the data and did not open them: it asked for a user who had not come."""
    LOST = "lost"
    """The server crashed, hung or was killed under its user."""
    OTHER = "other"


_ENDED_WELL: Final = {
    StopReason.LOGOUT,
    StopReason.EXPIRED,
    StopReason.IDLE,
    StopReason.DRAINED,
    StopReason.SESSION_LIMIT,
    StopReason.UNATTESTED,  # a server that cannot renew its proof ends after its session
}


class AttestationOutcome(StrEnum):
    """What came of servers' proofs; what is not listed counts as `other`. The log and the audit log say it whole."""

    ADMITTED = "admitted"
    """Also with attestation=off, where nothing is asked."""
    ROOT = "root"
    DEBUG = "debug"
    TCB_STATUS = "tcb_status"
    ADVISORY_REFUSED = "advisory_refused"
    ADVISORY_NOT_IGNORED = "advisory_not_ignored"
    EVIDENCE_AGE = "evidence_age"
    MRENCLAVE = "mrenclave"
    MRSIGNER = "mrsigner"
    PRODUCT_ID = "product_id"
    SVN = "svn"
    CHANGED_WHILE_STARTING = "changed_while_starting"
    COLLATERAL_EXPIRED = "collateral_expired"
    AUDIT_LOG_UNUSABLE = "audit_log_unusable"
    OTHER = "other"


class LoginProofOutcome(StrEnum):
    """What came of users' proofs; a LOGIN without one is a stop with the reason `unproved`."""

    ACCEPTED = "accepted"
    REFUSED = "refused"


class Contained(StrEnum):
    """What an error was in, and cost."""

    PROCESS = "process"
    """One server: it is ended."""
    ACTION = "action"
    """Something that was decided could not be done."""
    POOL = "pool"
    """No single process: it is tried again with the next event."""
    REPORT = "report"
    """A report: the next one is sent with the heartbeat."""
    TIMER = "timer"


class ReportResult(StrEnum):
    ACCEPTED = "accepted"
    RESYNC = "resync"
    STALE = "stale"
    FAILED = "failed"
    """Not answered, or with an error."""


class Metrics:
    """Series of one wrapper."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._starts = Counter(
            f"{_PREFIX}_starts_total",
            "launches of servers, also of those that fail",
            registry=registry,
        )
        self._start_seconds = _histogram(
            "start_seconds", "from launch to READY (or to LOGIN of a dedicated server)", registry
        )
        self._recycle_seconds = _histogram(
            "recycle_seconds",
            "from the end of a session to READY of the next server in the slot",
            registry,
        )
        self.claim_seconds = _histogram(
            "volume_claim_seconds", "from LOGIN to the volume provider's answer", registry
        )
        self.entries_left_out = Counter(
            f"{_PREFIX}_report_entries_left_out_total",
            "processes that were not reported because the Routing Manager would refuse their entry",
            registry=registry,
        )
        self._claims = labelled(
            f"{_PREFIX}_claims_total",
            "claims of users' volumes, by the provider's answer",
            registry,
            "outcome",
            ClaimOutcome,
        )
        self._logins = labelled(
            f"{_PREFIX}_logins_total",
            "LOGINs by outcome: a refusal counts at once, a session when it ends",
            registry,
            "outcome",
            LoginOutcome,
        )
        self._records = labelled(
            f"{_PREFIX}_server_records_total",
            "lines that servers logged, by the level that they give them",
            registry,
            "level",
            Rating,
        )
        self._stops = labelled(
            f"{_PREFIX}_stops_total",
            "servers that ended, by reason",
            registry,
            "reason",
            StopReason,
        )
        self._attestations = labelled(
            f"{_PREFIX}_attestations_total",
            "servers' proofs, by what came of them",
            registry,
            "outcome",
            AttestationOutcome,
        )
        self._proofs = labelled(
            f"{_PREFIX}_login_proofs_total",
            "users' proofs that they log in, by what came of them",
            registry,
            "outcome",
            LoginProofOutcome,
        )
        self._copies = labelled(
            f"{_PREFIX}_volume_copies_total",
            "copies of users' volumes that were due, by what came of them",
            registry,
            "outcome",
            Kept,
        )
        self._errors = labelled(
            f"{_PREFIX}_errors_total", "errors that cost one entry", registry, "entry", Contained
        )
        self.reports = labelled(
            f"{_PREFIX}_reports_total", "reports by outcome", registry, "outcome", ReportResult
        )

    def contained(self, kind: str) -> None:
        """Count an error that cost one entry."""
        self._errors.labels(kind).inc()

    def copied(self, kept: Kept) -> None:
        """A copy was due; from any thread."""
        self._copies.labels(kept).inc()

    def watch(self, count: Callable[[State], int], degraded: Callable[[], bool]) -> None:
        """Read these when the metrics are asked for."""
        instances = Gauge(
            f"{_PREFIX}_instances", "server processes", ["state"], registry=self._registry
        )
        for state in State:
            instances.labels(state.value).set_function(partial(count, state))
        Gauge(
            f"{_PREFIX}_degraded", "1 while servers fail to start", registry=self._registry
        ).set_function(degraded)

    def watch_reports(self, unreported: Callable[[], float]) -> None:
        """Read this, too, where reports are sent."""
        Gauge(
            f"{_PREFIX}_unreported_seconds",
            "since the Routing Manager accepted a report, or since the start; of several the one that is longest away",
            registry=self._registry,
        ).set_function(unreported)

    def simulate(self, heap_bytes: Callable[[], int]) -> Callable[[int], None]:
        """Show what simulated enclaves use, which only wrappers with such have; the result counts pages."""
        Gauge(
            f"{_PREFIX}_simulated_enclave_bytes",
            "memory taken by simulated enclaves, which protect nothing",
            registry=self._registry,
        ).set_function(heap_bytes)
        return Counter(
            f"{_PREFIX}_simulated_paged_pages_total",
            "pages of 4 KiB moved into or out of the simulated EPC",
            registry=self._registry,
        ).inc

    def launched(self) -> None:
        self._starts.inc()

    def claimed(self, answer: Volume | Denied) -> None:
        """The provider answered a claim."""
        code = ClaimOutcome.GRANTED if isinstance(answer, Volume) else answer.code
        self._claims.labels(_known(code, ClaimOutcome.OTHER)).inc()

    def login_denied(self, answer: Denied) -> None:
        """A server was told that its user's data cannot be had."""
        self._logins.labels(_known(answer.code, LoginOutcome.OTHER)).inc()

    def logged(self, rating: Rating) -> None:
        """A server logged a line."""
        self._records.labels(rating).inc()

    def attested(self, said: Attested | NotAttested) -> None:
        code = AttestationOutcome.ADMITTED if isinstance(said, Attested) else said.code
        self._attestations.labels(_known(code, AttestationOutcome.OTHER)).inc()

    def proved(self, said: Proved | NotProved) -> None:
        accepted = isinstance(said, Proved)
        outcome = LoginProofOutcome.ACCEPTED if accepted else LoginProofOutcome.REFUSED
        self._proofs.labels(outcome).inc()

    def changed(self, report: Report, now: float) -> None:
        """A process has changed."""
        process = report.process
        if report.before is State.STARTING and process.up:
            self._start_seconds.observe(now - process.launched_at)
            if process.follows is not None:
                self._recycle_seconds.observe(now - process.follows)
        if process.reason is not None and report.before is not State.STOPPED:
            self._stops.labels(process.reason).inc()
            if (outcome := login_outcome(process)) is not None:
                self._logins.labels(outcome).inc()


def _histogram(name: str, text: str, registry: CollectorRegistry) -> Histogram:
    return Histogram(f"{_PREFIX}_{name}", text, buckets=RECYCLE_BUCKETS, registry=registry)


def login_outcome(stopped: Process) -> LoginOutcome | None:
    """What became of the LOGIN at a process that has ended; None: there was none, or its denial is counted."""
    denied = stopped.holding is Holding.NOTHING
    if stopped.uid is None or stopped.reason is None or denied:
        return None
    if stopped.reason in _ENDED_WELL:
        return LoginOutcome.SERVED
    return _known(stopped.reason, LoginOutcome.LOST)


def _known(code: str, other: KindT) -> KindT:
    """The member that has this value, else `other`."""
    try:
        return type(other)(code)
    except ValueError:
        return other
