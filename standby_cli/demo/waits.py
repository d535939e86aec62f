"""How long users waited for a server, apart from what their LOGINs took, and why they waited."""

from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import Struct

from smartgrid_client.quantiles import percentile
from smartgrid_client.requests import Operation
from smartgrid_client.session import Attempt
from standby_cli.demo.watch import Sample


class Quantiles(Struct, frozen=True, kw_only=True):
    """In milliseconds; None without values."""

    count: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class Logins:
    """Of every LOGIN that was answered well."""

    def __init__(self) -> None:
        self._waits: list[float] = []
        self._alone: list[float] = []

    def add(self, attempt: Attempt) -> None:
        exchange = attempt.exchange
        if exchange.operation is Operation.LOGIN and not (attempt.failed or attempt.repeated):
            self._waits.append(attempt.late + exchange.connect)
            self._alone.append(exchange.latency - exchange.connect)

    def waiting(self) -> Quantiles:
        """From the first try until a server was reached and verified."""
        return _quantiles(self._waits)

    def alone(self) -> Quantiles:
        """From there to the answer."""
        return _quantiles(self._alone)


def why(samples: Sequence[Sample]) -> str:
    """Why users waited, in one line: what the servers did whenever the platform was looked at and users waited."""
    looks = [each for each in samples if each.waiting]
    if not looks:
        return "no user was seen waiting: a server was READY each time"
    doing = Counter(_doing(each) for each in looks)
    parts = [f"{what} ({count * 100 // len(looks)} %)" for what, count in doing.most_common()]
    share = len(looks) * 100 // len(samples)
    most = max(each.waiting for each in looks)
    return (
        f"users waited {share} % of the time, up to {most} at once, because {', or '.join(parts)}"
    )


def _doing(sample: Sample) -> str:
    if sample.counts.READY:
        return "a READY server was just being given"
    if sample.counts.STARTING or sample.counts.STOPPED:
        return "a server was being replaced after its session"
    return "every server was in use"


def _quantiles(seconds: Iterable[float]) -> Quantiles:
    ordered = sorted(1000 * each for each in seconds)
    return Quantiles(
        count=len(ordered),
        p50_ms=percentile(ordered, 50),
        p95_ms=percentile(ordered, 95),
        p99_ms=percentile(ordered, 99),
    )
