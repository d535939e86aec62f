"""Which reports, and which of their entries, are taken for true; the rest changes nothing."""

from typing import Final

from routing_manager.directory import Wrapper
from routing_manager.errors import BadReportError
from standby.messages import InstanceReport, Report, ReportOutcome
from standby.states import TRANSITIONS, State


def check(report: Report) -> None:
    """Refuse a report that says what a wrapper cannot know or mean.

    Raises:
        BadReportError: nothing of the report may be used.
    """
    for told in report.instances:
        if told.state is State.RESERVED:
            raise BadReportError(f"slot {told.slot}: only the Routing Manager knows RESERVED")
        if told.state is State.ACTIVE and told.uid is None:
            raise BadReportError(f"slot {told.slot}: ACTIVE needs the uid of the user")
        if told.state is State.READY and told.uid is not None:
            raise BadReportError(f"slot {told.slot}: a READY process holds no user")


def judge(known: Wrapper | None, report: Report, *, live: bool) -> ReportOutcome:
    """What to do with a report, given what is known of its wrapper and whether that is `live`, not lost."""
    if known is not None and (report.epoch, report.sequence) <= (known.epoch, known.sequence):
        return ReportOutcome.STALE
    if report.full:
        return ReportOutcome.ACCEPTED
    follows = (
        known is not None and report.epoch == known.epoch and report.sequence == known.sequence + 1
    )
    return ReportOutcome.ACCEPTED if live and follows else ReportOutcome.RESYNC


def _reachable() -> frozenset[tuple[State, State]]:
    """(earlier, later) for every two states of one process's life."""
    pairs = {(before, after) for (before, _), after in TRANSITIONS.items()}
    for middle in State:
        pairs |= {(a, d) for a, b in pairs if b is middle for c, d in pairs if c is middle}
    return frozenset(pairs | {(state, state) for state in State})


_REACHABLE: Final = _reachable()


def believable(known: InstanceReport, told: InstanceReport) -> bool:
    """Whether `told` can follow `known` in the life of one process, reports of states in between being lost.

    A process never goes back to an earlier state, never belongs to a second user, and its claim of the user's volume
    never gets older.
    """
    if (known.state, told.state) not in _REACHABLE:
        return False
    if known.state is State.ACTIVE and told.state is State.ACTIVE:
        return known.uid == told.uid and (told.generation or 0) >= (known.generation or 0)
    return True
