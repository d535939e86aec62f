"""The wrapper's metrics; names and units follow `standby.metrics`."""

from collections.abc import Callable
from enum import StrEnum
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from app_wrapper.actions import Report
from app_wrapper.events import Attested, NotAttested
from standby.lines import Denied, Volume
from standby.metrics import RECYCLE_BUCKETS, labelled
from standby.states import State, StopReason

_PREFIX = "standby_app_wrapper"


class LoginOutcome(StrEnum):
    """What a server was told after LOGIN; the refusals are the volume provider's codes."""

    GRANTED = "granted"
    UNKNOWN_USER = "unknown_user"
    CLAIMED_ELSEWHERE = "claimed_elsewhere"
    VOLUME_UNAVAILABLE = "volume_unavailable"
    OTHER = "other"


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
        self._starts = Counter(f"{_PREFIX}_starts_total", "servers launched", registry=registry)
        self._start_seconds = _histogram(
            "start_seconds", "from launch to READY (or to LOGIN of a dedicated server)", registry
        )
        self._recycle_seconds = _histogram(
            "recycle_seconds", "from LOGOUT to READY of the next server in the slot", registry
        )
        self.claim_seconds = _histogram(
            "volume_claim_seconds", "from LOGIN to the volume provider's answer", registry
        )
        self._logins = labelled(
            f"{_PREFIX}_logins_total", "LOGINs by outcome", registry, "outcome", LoginOutcome
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
        self.reports = labelled(
            f"{_PREFIX}_reports_total", "reports by outcome", registry, "outcome", ReportResult
        )

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

    def answered(self, answer: Volume | Denied) -> None:
        self._logins.labels(_outcome(answer)).inc()

    def attested(self, said: Attested | NotAttested) -> None:
        code = AttestationOutcome.ADMITTED if isinstance(said, Attested) else said.code
        known = code in AttestationOutcome.__members__.values()
        self._attestations.labels(code if known else AttestationOutcome.OTHER).inc()

    def changed(self, report: Report, now: float) -> None:
        """A process has changed."""
        process = report.process
        if report.before is State.STARTING and process.up:
            self._start_seconds.observe(now - process.launched_at)
            if process.follows is not None:
                self._recycle_seconds.observe(now - process.follows)
        if process.reason is not None and report.before is not State.STOPPED:
            self._stops.labels(process.reason).inc()


def _histogram(name: str, text: str, registry: CollectorRegistry) -> Histogram:
    return Histogram(f"{_PREFIX}_{name}", text, buckets=RECYCLE_BUCKETS, registry=registry)


def _outcome(answer: Volume | Denied) -> LoginOutcome:
    if isinstance(answer, Volume):
        return LoginOutcome.GRANTED
    try:
        return LoginOutcome(answer.code)
    except ValueError:
        return LoginOutcome.OTHER
