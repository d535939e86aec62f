"""What the faults cost the clients: how long they waited, and what failed that should not have. Pure.

Unavailability. A call (one request with all its repetitions, LOGINs in between included) is laid to one fault: the
first one that began while its first try was under way, else the latest one before it was sent. The unavailability of a
fault is the longest of its calls, in seconds from the first try's sending to the end of the last, the success or the
giving up; 0 if it has none. Calls that nothing disturbed are among them, so the least possible value is not 0 but the
usual time of a request or a LOGIN, waiting for a free server included.

Failures by a kill of the Routing Manager, or by its end on request. Nobody with an open connection may notice it.
Counted are requests on an open connection (also those that found it closed and opened another one) that were sent, or
under way, between the signal and the moment at which the Routing Manager was ready again, and failed. One that another
fault explains is left out: since its connection was opened, HAProxy, the session's wrapper or the session's server was
killed or asked to end, or was stopped while the request was under way.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from bench.faults.history import History, Injected, Try
from bench.faults.logs import Life
from bench.faults.plan import Deed, Kind
from bench.spread import Spread, spread


def unavailable(
    histories: Sequence[History], faults: Sequence[Injected], deed: Deed
) -> dict[Kind, Spread]:
    """Seconds of unavailability of all faults of that deed, by kind."""
    longest = {fault.number: 0.0 for fault in faults}
    ordered = sorted(faults, key=lambda fault: fault.began)
    for history in histories:
        for tries in history.tries_by_call.values():
            fault = _cause(tries[0], ordered) if tries else None
            if fault is not None:
                seconds = tries[-1].answered - tries[0].sent
                longest[fault.number] = max(longest[fault.number], seconds)
    ours = [fault for fault in faults if fault.deed is deed]
    return {
        kind: spread(longest[fault.number] for fault in ours if fault.kind is kind) for kind in Kind
    }


def _cause(first: Try, ordered: Sequence[Injected]) -> Injected | None:
    during = (each for each in ordered if first.sent <= each.began <= first.answered)
    before = (each for each in reversed(ordered) if each.began < first.sent)
    return next(during, None) or next(before, None)


def on_open_connections(
    histories: Iterable[History], kills: Sequence[Injected]
) -> Iterator[tuple[History, Try, Injected]]:
    """Every request on an open connection that was under way during one of these kills."""
    for history in histories:
        for each in history.tries:
            if each.opened is None:
                continue
            for kill in kills:
                if each.sent <= kill.ended and each.answered >= kill.began:
                    yield history, each, kill


def failed_by_routing_manager(
    histories: Sequence[History], faults: Sequence[Injected], lives: Mapping[str, Life]
) -> tuple[int, list[str]]:
    """How many requests on open connections there were during its kills, and in words those that failed."""
    ends = {Deed.KILL, Deed.TERMINATE}
    kills = [each for each in faults if each.kind is Kind.ROUTING_MANAGER and each.deed in ends]
    others = [each for each in faults if each.kind is not Kind.ROUTING_MANAGER]
    found = list(on_open_connections(histories, kills))
    failed = [
        f"{history.opened.uid}-{history.opened.role}: {each.operation} at {each.sent:.3f} "
        f"({each.code or 'reopened'}), fault {kill.number}: {history.file}"
        for history, each, kill in found
        if (each.failed or each.reopened)
        and not any(_explains(fault, each, lives) for fault in others)
    ]
    return len(found), failed


def _explains(fault: Injected, failed: Try, lives: Mapping[str, Life]) -> bool:
    """Whether another part's fault can have ended this connection or its session."""
    since = failed.opened if failed.opened is not None else failed.sent
    latest = {
        Deed.KILL: since <= fault.began,
        Deed.TERMINATE: since
        <= fault.ended,  # it goes on for a while, and ends sessions when it leaves
        Deed.STOP: failed.sent <= fault.ended,
        Deed.FLOOD: failed.sent <= fault.ended,
    }
    in_time = latest[fault.deed]
    return in_time and fault.began <= failed.answered and _concerns(fault, failed, lives)


def _concerns(fault: Injected, failed: Try, lives: Mapping[str, Life]) -> bool:
    match fault.kind:
        case Kind.HAPROXY:
            return True
        case Kind.WRAPPER:
            life = lives.get(failed.boot_id or "")
            return life is not None and life.wrapper == fault.name
        case Kind.SERVER:
            return fault.boot_id == failed.boot_id
        case Kind.ROUTING_MANAGER | Kind.STRANGER:
            return False
