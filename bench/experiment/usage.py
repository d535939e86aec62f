"""What the processes of each role used in a run, from its samples; pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from msgspec import Struct

from bench.experiment.outcome import Outcome
from bench.experiment.resources import Sample


class Usage(Struct, frozen=True, kw_only=True):
    """Of one role in one run; a list has one value for each reading of memory at full activity, in MiB."""

    processes: list[int]
    pss: list[float]
    rss: list[float]
    enclaves: list[float]
    """Empty without simulated enclaves."""
    waiting: float | None
    """PSS and enclaves at the first reading; None if the first session had begun by then."""
    processors: float
    switches: float


def by_role(samples: Sequence[Sample], outcome: Outcome) -> dict[str, Usage]:
    """Every role that has processes."""
    roles: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        roles[sample.role].append(sample)
    times = _at_full_activity(samples, outcome)
    first = samples[0].at_s
    return {role: _usage(mine, times, first) for role, mine in roles.items()}


def _at_full_activity(samples: Sequence[Sample], outcome: Outcome) -> list[float]:
    """Moments of deep readings while all active users had a session; if there is none, the one nearest to that."""
    deep = sorted({each.at_s for each in samples if each.pss_mib is not None})
    inside = [at for at in deep if outcome.full_from <= at <= outcome.full_until]
    if inside or not deep:
        return inside
    middle = (outcome.full_from + outcome.full_until) / 2
    return [min(deep, key=lambda at: abs(at - middle))]


def _usage(samples: Sequence[Sample], times: Iterable[float], first: float) -> Usage:
    moments: dict[float, list[Sample]] = defaultdict(list)
    for sample in samples:
        moments[sample.at_s].append(sample)
    chosen = [moments[at] for at in times if at in moments]
    simulated = any(each.enclave_mib is not None for each in samples)
    processors, switches = _rates(samples)
    return Usage(
        processes=[sum(1 for each in now if each.pid) for now in chosen],
        pss=[sum(each.pss_mib or 0.0 for each in now) for now in chosen],
        rss=[sum(each.rss_mib for each in now) for now in chosen],
        enclaves=[sum(each.enclave_mib or 0.0 for each in now) for now in chosen]
        if simulated
        else [],
        waiting=sum((each.pss_mib or 0.0) + (each.enclave_mib or 0.0) for each in moments[first])
        if first in moments
        else None,
        processors=processors,
        switches=switches,
    )


def _rates(samples: Sequence[Sample]) -> tuple[float, float]:
    """Processor seconds and context switches per second.

    Counters begin where a process was first seen, or at its birth if that was later than the first reading; what it did
    after it was last seen is not known.
    """
    first, last = samples[0].at_s, samples[-1].at_s
    if last <= first:
        return 0.0, 0.0
    before: dict[int, Sample] = {}
    after: dict[int, Sample] = {}
    for sample in samples:
        if sample.at_s == first:
            before[sample.pid] = sample
        after[sample.pid] = sample
    used = sum(
        each.processor_s - (before[pid].processor_s if pid in before else 0.0)
        for pid, each in after.items()
    )
    switched = sum(
        _switches(each) - (_switches(before[pid]) if pid in before else 0)
        for pid, each in after.items()
    )
    return used / (last - first), switched / (last - first)


def _switches(sample: Sample) -> int:
    return sample.voluntary + sample.involuntary
