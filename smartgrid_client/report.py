"""What a person or a program gets to see of a run: a line per try, and a summary per operation.

Latencies are those of tries that were answered well; a failed try counts as a retry when another one followed, and as
an error when it was the last. `late_ms` is the time from the moment a request was meant for to its sending, so
`late_ms + latency_ms` is what a user would have waited.
"""

import csv
import datetime as dt
import functools
import io
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final

from msgspec import Struct

from smartgrid_client.admission import Admitted, NotAdmitted
from smartgrid_client.errors import ClientError, NotAttestedError, SessionOverError
from smartgrid_client.messages import Averages, Login, Stored
from smartgrid_client.quantiles import percentile
from smartgrid_client.requests import Operation
from smartgrid_client.session import Attempt

CSV_HEADER: Final = (
    "time", "operation", "status", "latency_ms", "connect_ms", "late_ms", "attempt", "code",
)  # fmt: skip

_DELIVERED: Final = ("stored", "unchanged", "corrected", "conflicts")
_REASONS: Final = 3
"""Rejected rows of one batch that are shown with the reason."""
_ANOTHER_PROGRAM: Final = (
    "if the operator announced a new program, get the new policy.toml from somebody you trust"
)


class OperationSummary(Struct, frozen=True, kw_only=True):
    """Latencies in milliseconds; None when no request was answered well."""

    count: int
    """Requests that were answered well."""
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    errors: int
    """Requests that failed for good."""
    retries: int
    """Tries that failed and were followed by another."""


class Summary(Struct, frozen=True, kw_only=True):
    """A run, as `--json` writes it."""

    operations: dict[str, OperationSummary]
    rows_stored: int
    rows_unchanged: int
    """Readings that the server had already."""
    rows_corrected: int
    rows_conflicting: int
    """Readings that differ from those that are stored for their times, and were kept apart."""
    rows_rejected: int
    """Readings that the server cannot store."""
    rows_not_delivered: int | None
    """Readings of the file that the server has not acknowledged, without the rejected ones; None: there is no file."""
    batches_acknowledged: int
    readings_skipped: dict[str, int]
    """Lines of the input that gave no reading, by reason."""
    input_error: str | None
    """What kept the meter from reading its file to the end."""
    interrupted: bool
    attestation: Admitted | NotAdmitted | None
    """Of the server of the last connection, or of the one that was refused; None: no server was judged."""

    @property
    def errors(self) -> int:
        return sum(each.errors for each in self.operations.values())

    @property
    def complete(self) -> bool:
        """Whether the server has all that there was to deliver."""
        return not self.rows_rejected and not self.rows_not_delivered


@dataclass(slots=True)
class _Tally:
    latencies: list[float] = field(default_factory=list)
    errors: int = 0
    retries: int = 0

    def summary(self) -> OperationSummary:
        ordered = sorted(self.latencies)
        p50, p95, p99 = (_milliseconds(percentile(ordered, each)) for each in (50, 95, 99))
        return OperationSummary(
            count=len(ordered),
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            errors=self.errors,
            retries=self.retries,
        )


class Recorder:
    """Counts tries as they happen."""

    def __init__(self) -> None:
        self._tallies: defaultdict[Operation, _Tally] = defaultdict(_Tally)
        self._batches = 0
        self._rows: Counter[str] = Counter()
        """Of all batches that were acknowledged, by the names of `Stored`."""
        self._attestation: Admitted | NotAdmitted | None = None

    def add(self, attempt: Attempt) -> None:
        self._add_attestation(attempt)
        tally = self._tallies[attempt.exchange.operation]
        if attempt.failed:
            tally.errors += 1
        elif attempt.repeated:
            tally.retries += 1
        else:
            tally.latencies.append(attempt.exchange.latency)
        outcome = attempt.exchange.outcome
        if attempt.exchange.operation is Operation.LONG_WRITE and isinstance(outcome, Stored):
            self._batches += 1
            self._rows.update({name: getattr(outcome, name) for name in (*_DELIVERED, "rejected")})

    def _add_attestation(self, attempt: Attempt) -> None:
        outcome = attempt.exchange.outcome
        if isinstance(outcome, NotAttestedError):
            self._attestation = outcome.report
        elif not isinstance(self._attestation, NotAdmitted):
            self._attestation = attempt.exchange.admitted or self._attestation

    def summary(
        self,
        *,
        interrupted: bool = False,
        skipped: dict[str, int] | None = None,
        total: int | None = None,
        input_error: str | None = None,
    ) -> Summary:
        """`total`: readings that there were to deliver, where that is known."""
        rows = self._rows
        return Summary(
            operations={
                each.value: self._tallies[each].summary()
                for each in Operation
                if each in self._tallies
            },
            rows_stored=rows["stored"],
            rows_unchanged=rows["unchanged"],
            rows_corrected=rows["corrected"],
            rows_conflicting=rows["conflicts"],
            rows_rejected=rows["rejected"],
            rows_not_delivered=None if total is None else max(0, total - rows.total()),
            batches_acknowledged=self._batches,
            readings_skipped=skipped or {},
            input_error=input_error,
            interrupted=interrupted,
            attestation=self._attestation,
        )


def status(attempt: Attempt) -> str:
    """`ok`, `failed` (for good) or `retried`."""
    if attempt.failed:
        return "failed"
    return "retried" if attempt.repeated else "ok"


def csv_line(values: tuple[object, ...]) -> str:
    """One CSV line without its end."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(values)
    return buffer.getvalue()


def csv_row(attempt: Attempt) -> tuple[object, ...]:
    """The fields of `CSV_HEADER`; the time is ISO 8601 in UTC."""
    exchange = attempt.exchange
    sent = dt.datetime.fromtimestamp(exchange.sent_at, dt.UTC)
    code = exchange.outcome.reason if isinstance(exchange.outcome, ClientError) else ""
    return (
        sent.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        exchange.operation.value,
        status(attempt),
        _milliseconds(exchange.latency),
        _milliseconds(exchange.connect),
        _milliseconds(attempt.late),
        attempt.number,
        code,
    )


def human_line(attempt: Attempt) -> str:
    """One line for a person; the time is local."""
    exchange = attempt.exchange
    sent = dt.datetime.fromtimestamp(exchange.sent_at).astimezone()
    connecting = f" ({exchange.connect * 1000:.1f} ms to connect)" if exchange.connect else ""
    latency = f"{exchange.latency * 1000:>9.1f} ms"
    return (
        f"{sent:%H:%M:%S}  {exchange.operation.value:<10} {latency}  {_told(attempt)}{connecting}"
    )


def _told(attempt: Attempt) -> str:
    outcome = attempt.exchange.outcome
    if isinstance(outcome, ClientError) and attempt.exchange.failed:
        return (
            f"{status(attempt).upper()} {outcome.reason}: {outcome}{_what_next(attempt, outcome)}"
        )
    return describe(outcome)


def _what_next(attempt: Attempt, error: ClientError) -> str:
    if attempt.repeated:
        return "; trying again"
    if attempt.exchange.operation is Operation.WRITE and error.maybe_done:
        return "; not repeated, because it may have been stored"
    return ""


def refusal_lines(report: NotAdmitted) -> list[str]:
    """What a person needs who looks into the refusal of a server; measurements in full."""
    policy = f"judged by policy version {report.policy.version}, digest {report.policy.digest}"
    text = f"the server was refused ({report.code}): {report.text}"
    lines = [text, *(f"  {each.text}" for each in report.reasons), f"  {policy}"]
    if any(each.variant is not None for each in report.reasons):
        lines.append(f"  {_ANOTHER_PROGRAM}")
    return lines


@functools.singledispatch
def describe(_outcome: object) -> str:
    """What a good answer says, in a few words."""
    return "done"


@describe.register
def _(outcome: Login) -> str:
    return f"server {outcome.boot_id}, generation {outcome.generation}"


@describe.register
def _(outcome: Stored) -> str:
    said = [f"{outcome.stored:,} stored"]
    for count, word in (
        (outcome.unchanged, "unchanged"),
        (outcome.corrected, "corrected"),
        (outcome.conflicts, "differ from what is stored"),
        (outcome.rejected, "REJECTED"),
    ):
        if count:
            said.append(f"{count:,} {word}")
    reasons = [f"row {each.row}: {each.reason}" for each in outcome.rejections[:_REASONS]]
    return ", ".join(said) + (f" ({'; '.join(reasons)})" if reasons else "")


@describe.register
def _(outcome: Averages) -> str:
    if outcome.average is None:
        return f"no {outcome.metric} readings in the period"
    average = f"{outcome.average:,.2f} {outcome.metric.unit}"
    readings = "reading" if outcome.count == 1 else "readings"
    return f"{outcome.metric} {average} over {outcome.count:,} {readings}"


@describe.register
def _(_outcome: SessionOverError) -> str:
    return "the session was over already"


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
