"""What a run must not show, and what it must show to say anything: every condition in words, with its evidence. Pure.

A run on a machine that has no time for it has few faults, little traffic, and parts that take long to start. That says
nothing about the platform: it is inconclusive, and no failure of a promise. A part that came back late shows such a
machine; what is judged by time is then no failure either, and what is judged by data still is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bench.faults.history import Injected
from bench.faults.plan import Kind
from bench.faults.verdict import Finding, Wrong

FEWEST_FAULTS: Final = 5
"""One of each kind, roughly."""
_OF_TIME: Final = frozenset({Wrong.STUCK})
"""Wrongs that a machine without time makes, too."""
_SHOWN: Final = 20
"""Findings in words; all of them are in the JSON."""


class Judgement(StrEnum):
    KEPT = "kept"
    """No promise was broken."""
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of one run."""

    findings: Sequence[Finding]
    failed_requests: Sequence[str]
    """On open connections while the Routing Manager was away, in words."""
    refused_for_good: Mapping[str, int]
    faults: Sequence[Injected]
    trouble: str
    """What was still wrong long after the faults."""
    opens: int
    """How often the watch saw a process with a database open."""
    sessions: int
    acknowledged: int
    on_open: int
    """Requests on open connections while the Routing Manager was away."""
    root: str
    """The run's directory."""


def failures(of: Evidence) -> list[str]:
    """Every condition that does not hold."""
    return list(_failures(of))


def _failures(of: Evidence) -> Iterator[str]:
    yield from _told([each for each in of.findings if not (each.wrong in _OF_TIME and _slow(of))])
    for text in of.failed_requests[:_SHOWN]:
        yield f"failed on an open connection while the Routing Manager was away: {text}"
    for code, count in of.refused_for_good.items():
        yield f"refused for good: {count} tries with {code} (see {of.root}/histories/)"
    if of.trouble:
        yield from _not_back(of)
        yield f"the platform was not healthy after the faults: {of.trouble} (see {of.root}/state/logs/)"
    if of.sessions and not of.opens:
        yield (
            f"the watch for two writers saw no database open in {of.sessions} sessions, so it was blind "
            f"(see {of.root}/writers.jsonl)"
        )


def _slow(of: Evidence) -> bool:
    """A part came back, but late: the machine had no time for the platform."""
    return not of.trouble and any(not fault.back for fault in of.faults)


def _told(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings[:_SHOWN]:
        yield f"{finding.wrong}: {finding.text} (see {finding.evidence})"
    if len(findings) > _SHOWN:
        yield f"{len(findings) - _SHOWN} more findings (see the JSON)"


def _not_back(of: Evidence) -> Iterator[str]:
    for fault in of.faults:
        if not fault.back:
            waited = fault.ended - fault.began
            yield (
                f"{fault.name} was not back {waited:.0f} s after {fault.deed} at {fault.began:.3f} "
                f"(fault {fault.number} in {of.root}/faults.jsonl; {of.root}/state/logs/)"
            )


def lacking(of: Evidence) -> list[str]:
    """Why this run says too little; empty if it does not."""
    found: list[str] = []
    if _slow(of):
        found += _not_back(of)
        found += _told([each for each in of.findings if each.wrong in _OF_TIME])
    if len(of.faults) < FEWEST_FAULTS:
        found.append(f"{len(of.faults)} faults are too few; at least {FEWEST_FAULTS} are needed")
    if not of.sessions:
        found.append("no user logged in")
    if not of.acknowledged:
        found.append("nothing was acknowledged, so nothing could be lost")
    away = any(fault.kind is Kind.ROUTING_MANAGER for fault in of.faults)
    if away and not of.on_open:
        found.append("no request was on an open connection while the Routing Manager was away")
    return found


def judge(failures: Sequence[str], lacking: Sequence[str]) -> Judgement:
    if failures:
        return Judgement.FAILED
    return Judgement.INCONCLUSIVE if lacking else Judgement.KEPT
