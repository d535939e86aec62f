"""Which reports, and which of their entries, are taken for true; the rest changes nothing.

An entry that cannot be read, or says what cannot be, costs the process that it names and no other: nothing is learned
of that process, and what was known of it stays. A report is refused as a whole only if it is none.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta, Raw, Struct

from routing_manager.directory import Wrapper
from routing_manager.errors import BadReportError
from standby import decode
from standby.decode import UnreadableError
from standby.ids import EPOCH_LEAP, BootId, BootIdField, Slot, SlotField, believable
from standby.messages import MOST_INSTANCES, InstanceReport, Report, ReportOutcome
from standby.states import TRANSITIONS, State

_Entries = Annotated[list[Raw], Meta(max_length=MOST_INSTANCES)]
_Fields = Annotated[dict[Annotated[str, Meta(max_length=100)], Raw], Meta(max_length=100)]
_INSTANCES: Final = "instances"


class _Identity(Struct):
    """What is still read of an entry that cannot be used."""

    slot: SlotField
    boot_id: BootIdField


class Received(NamedTuple):
    """What has arrived."""

    report: Report
    """With the entries that can be used."""
    unused: int = 0
    """Entries that cannot be."""
    why: str = ""
    """What is wrong with the first of these."""
    unclear: Mapping[Slot, BootId] = MappingProxyType({})
    """The processes that they name, as far as that can be read: they are there, and nothing else is known of them."""


def read(body: bytes) -> Received:
    """The report that a body holds.

    Raises:
        UnreadableError: it is none, whatever its entries are.
    """
    try:
        return Received(decode.json(body, Report))
    except UnreadableError:
        fields = decode.json(body, _Fields)
        if _INSTANCES not in fields:
            raise
        return _read_each(fields)


def _read_each(fields: dict[str, Raw]) -> Received:
    usable: list[bytes] = []
    unclear: dict[Slot, BootId] = {}
    reasons: list[str] = []
    for entry in decode.json(fields[_INSTANCES], _Entries):
        try:
            decode.json(entry, InstanceReport)
        except UnreadableError as error:
            reasons.append(str(error))
            unclear |= _named(entry)
        else:
            usable.append(bytes(entry))
    rest = fields | {_INSTANCES: Raw(b"[" + b",".join(usable) + b"]")}
    report = decode.json(msgspec.json.encode(rest), Report)
    return Received(report, len(reasons), reasons[0] if reasons else "", unclear)


def _named(entry: Raw) -> dict[Slot, BootId]:
    try:
        identity = decode.json(entry, _Identity)
    except UnreadableError:
        return {}
    return {identity.slot: identity.boot_id}


def check(known: Wrapper | None, report: Report, *, live: bool) -> None:
    """Refuse a report of an epoch that its wrapper cannot have reached.

    Whoever has a wrapper's certificate could send one, and the real wrapper would be late for ever. A lost wrapper may
    have become any: it had to go above what another Routing Manager knows.

    Raises:
        BadReportError: nothing of the report may be used.
    """
    if live and known is not None and not believable(report.epoch, known.epoch):
        raise BadReportError(
            f"epoch {report.epoch} is not believed: at most {EPOCH_LEAP} above the last one, {known.epoch}"
        )


def judge(known: Wrapper | None, report: Report, *, live: bool) -> ReportOutcome:
    """What to do with a report, given what is known of its wrapper and whether that is `live`, not lost."""
    if known is not None and (report.epoch, report.sequence) <= (known.epoch, known.sequence):
        return ReportOutcome.STALE
    if report.full:
        return ReportOutcome.ACCEPTED
    next_one = (
        known is not None and report.epoch == known.epoch and report.sequence == known.sequence + 1
    )
    return ReportOutcome.ACCEPTED if live and next_one else ReportOutcome.RESYNC


def _reachable() -> frozenset[tuple[State, State]]:
    """(earlier, later) for every two states of one process's life."""
    pairs = {(before, after) for (before, _), after in TRANSITIONS.items()}
    for middle in State:
        pairs |= {(a, d) for a, b in pairs if b is middle for c, d in pairs if c is middle}
    return frozenset(pairs | {(state, state) for state in State})


_REACHABLE: Final = _reachable()


def possible(told: InstanceReport) -> bool:
    """Whether a wrapper can know and mean this of a process."""
    match told.state:
        case State.RESERVED:  # the Routing Manager alone knows that
            return False
        case State.ACTIVE:
            return told.uid is not None
        case State.READY:
            return told.uid is None
        case _:
            return True


def follows(known: InstanceReport, told: InstanceReport) -> bool:
    """Whether `told` can follow `known` in the life of one process, reports of states in between being lost.

    A process never goes back to an earlier state, never belongs to a second user, and its claim of the user's volume
    never gets older.
    """
    if (known.state, told.state) not in _REACHABLE:
        return False
    if known.state is State.ACTIVE and told.state is State.ACTIVE:
        return known.uid == told.uid and (told.generation or 0) >= (known.generation or 0)
    return True
