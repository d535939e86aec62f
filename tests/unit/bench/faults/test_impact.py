"""What a fault cost is laid to that fault, and what failed by a Routing Manager kill is told from the rest."""

import pytest

from bench.faults.history import Call, History, Injected
from bench.faults.impact import failed_by_routing_manager, unavailable
from bench.faults.logs import Life
from bench.faults.plan import Deed, Kind
from smartgrid_client.requests import Operation
from tests.unit.bench.faults.records import BOOT_IDS, made, tried

QUERY = Operation.QUERY_AVG
LIVES = {BOOT_IDS[1]: Life("w1", {"user-1"})}


def _fault(
    number: int, kind: Kind, began: float, ended: float, deed: Deed = Deed.KILL, name: str = "w1"
) -> Injected:
    return Injected(
        number=number,
        kind=kind,
        deed=deed,
        name=name,
        pid=1,
        began=began,
        ended=ended,
        back=True,
        boot_id=BOOT_IDS[1] if kind is Kind.SERVER else None,
    )


def _query(sent: float, *, code: str | None = None, reopened: bool = False) -> History:
    """One QUERY_AVG of 0.2 s over a connection that was opened at 0."""
    one = tried(
        1, QUERY, sent, sent + 0.2, code=code, opened=None if sent < 0 else 0.0, reopened=reopened
    )
    return made(Call(call=1, operation=QUERY, at=sent), one)


MANAGER = _fault(1, Kind.ROUTING_MANAGER, 10.0, 12.0)


def test_a_call_is_laid_to_the_fault_that_began_during_its_first_try() -> None:
    faults = [MANAGER, _fault(2, Kind.SERVER, 20.0, 20.1)]
    calls = made(
        Call(call=1, operation=QUERY, at=9.9),
        tried(1, QUERY, 9.9, 10.5, code="unanswered"),
        tried(1, QUERY, 12.0, 13.0),
        Call(call=2, operation=QUERY, at=20.2),
        tried(2, QUERY, 20.2, 20.6, code="unreachable"),
        tried(2, QUERY, 21.0, 21.2),
    )
    found = unavailable([calls], faults, Deed.KILL)
    assert found[Kind.ROUTING_MANAGER].max == pytest.approx(3.1)
    assert found[Kind.SERVER].max == pytest.approx(1.0)
    assert found[Kind.HAPROXY].count == 0


def test_a_fault_that_nobody_met_cost_nothing() -> None:
    found = unavailable([_query(5.0)], [MANAGER], Deed.KILL)
    assert found[Kind.ROUTING_MANAGER].max == 0.0


def test_stops_are_counted_apart() -> None:
    stop = _fault(1, Kind.HAPROXY, 1.0, 3.0, Deed.STOP)
    assert unavailable([_query(1.0)], [stop], Deed.KILL)[Kind.HAPROXY].count == 0
    assert unavailable([_query(1.0)], [stop], Deed.STOP)[Kind.HAPROXY].count == 1


def test_a_failure_on_an_open_connection_while_the_routing_manager_is_away_is_counted() -> None:
    assert failed_by_routing_manager([_query(11.0)], [MANAGER], LIVES) == (1, [])
    for history in (_query(11.0, code="unanswered"), _query(11.0, reopened=True)):
        count, failed = failed_by_routing_manager([history], [MANAGER], LIVES)
        assert (count, len(failed)) == (1, 1)


def test_a_routing_manager_that_was_asked_to_end_is_judged_as_one_that_was_killed() -> None:
    ended = _fault(1, Kind.ROUTING_MANAGER, 10.0, 12.0, Deed.TERMINATE)
    count, failed = failed_by_routing_manager([_query(11.0, code="unanswered")], [ended], LIVES)
    assert (count, len(failed)) == (1, 1)


def test_a_failure_before_or_after_is_not() -> None:
    for sent in (8.0, 12.5):
        history = _query(sent, code="unanswered")
        assert failed_by_routing_manager([history], [MANAGER], LIVES) == (0, [])


@pytest.mark.parametrize(
    ("other", "explained"),
    [
        (_fault(2, Kind.HAPROXY, 5.0, 5.5), True),
        (_fault(2, Kind.WRAPPER, 5.0, 6.0), True),
        (_fault(2, Kind.WRAPPER, 5.0, 6.0, name="w2"), False),
        (_fault(2, Kind.SERVER, 5.0, 5.1), True),
        (_fault(2, Kind.HAPROXY, -5.0, -4.0), False),
        (_fault(2, Kind.HAPROXY, 12.5, 13.0), False),
        (_fault(2, Kind.HAPROXY, 5.0, 9.0, Deed.STOP), False),
        (_fault(2, Kind.HAPROXY, 5.0, 11.1, Deed.STOP), True),
        (_fault(2, Kind.WRAPPER, 5.0, 9.0, Deed.TERMINATE), True),
        (_fault(2, Kind.WRAPPER, -9.0, -5.0, Deed.TERMINATE), False),
        (_fault(2, Kind.STRANGER, 10.5, 11.5, Deed.FLOOD, "stranger"), False),
    ],
)
def test_another_fault_explains_a_failure_only_of_its_own_connections(
    *, other: Injected, explained: bool
) -> None:
    history = _query(11.0, code="unanswered")
    _, failed = failed_by_routing_manager([history], [other, MANAGER], LIVES)
    assert bool(failed) is not explained
