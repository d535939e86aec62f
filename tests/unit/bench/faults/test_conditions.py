"""Every failed condition is named with its evidence; a run that says too little is neither good nor bad."""

from dataclasses import replace
from typing import Any

import pytest

from bench.faults import conditions
from bench.faults.conditions import Evidence, Judgement
from bench.faults.history import Injected
from bench.faults.plan import Deed, Kind
from bench.faults.verdict import Finding, Wrong


def _fault(number: int, *, back: bool = True) -> Injected:
    return Injected(
        number=number,
        kind=Kind.ROUTING_MANAGER,
        deed=Deed.TERMINATE,
        name="routing-manager",
        pid=1,
        began=10.0,
        ended=40.0,
        back=back,
    )


GOOD = Evidence(
    findings=[],
    failed_requests=[],
    refused_for_good={},
    faults=[_fault(number) for number in range(1, 8)],
    trouble="",
    opens=5,
    sessions=20,
    acknowledged=100,
    on_open=30,
    root="/run",
)
FINDING = Finding(wrong=Wrong.LOST_ROWS, count=2, text="user-1: gone", evidence="/run/x.jsonl")

LATE = Finding(wrong=Wrong.STUCK, count=1, text="user-1: not logged in", evidence="/run/y.jsonl")


def _judged(of: Evidence) -> Judgement:
    return conditions.judge(conditions.failures(of), conditions.lacking(of))


def test_a_run_in_which_all_holds_is_good() -> None:
    assert _judged(GOOD) is Judgement.KEPT


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"findings": [FINDING]}, ("lost_rows", "user-1: gone", "/run/x.jsonl")),
        ({"failed_requests": ["user-2-meter: QUERY_AVG"]}, ("open connection", "user-2-meter")),
        ({"refused_for_good": {"wrong_key": 3}}, ("3 tries with wrong_key", "/run/histories/")),
        ({"trouble": "w1: no answer"}, ("not healthy", "w1: no answer", "/run/state/logs/")),
        ({"opens": 0}, ("blind", "20 sessions")),
    ],
)
def test_each_condition_that_does_not_hold_fails_the_run_and_is_named(
    change: dict[str, Any], words: tuple[str, ...]
) -> None:
    broken = replace(GOOD, **change)
    (text,) = conditions.failures(broken)
    assert all(word in text for word in words)
    assert _judged(broken) is Judgement.FAILED


@pytest.mark.parametrize(
    "change",
    [
        {"faults": [_fault(1)]},
        {"sessions": 0, "opens": 0},
        {"acknowledged": 0},
        {"on_open": 0},
        {"faults": [_fault(1, back=False)] + [_fault(2)] * 6},
    ],
)
def test_too_little_of_anything_is_inconclusive_and_no_failure(change: dict[str, Any]) -> None:
    poor = replace(GOOD, **change)
    assert _judged(poor) is Judgement.INCONCLUSIVE
    assert len(conditions.lacking(poor)) == 1


def test_a_part_that_never_came_back_fails_the_run_with_the_fault_that_ended_it() -> None:
    gone = replace(GOOD, faults=[_fault(1, back=False)] * 7, trouble="routing-manager: away")
    first, *_, last = conditions.failures(gone)
    for word in (
        "routing-manager was not back 30 s after terminate",
        "fault 1",
        "/run/faults.jsonl",
    ):
        assert word in first
    assert "not healthy" in last
    assert conditions.lacking(gone) == []


def test_on_a_machine_without_time_users_are_late_and_data_are_not_lost() -> None:
    slow = replace(GOOD, faults=[_fault(1, back=False)] + [_fault(2)] * 6, findings=[LATE])
    assert _judged(slow) is Judgement.INCONCLUSIVE
    assert any("user-1: not logged in" in text for text in conditions.lacking(slow))
    assert _judged(replace(slow, findings=[LATE, FINDING])) is Judgement.FAILED
    assert _judged(replace(GOOD, findings=[LATE])) is Judgement.FAILED, "the machine had time"


def test_a_run_with_nothing_at_all_is_inconclusive() -> None:
    nothing = replace(GOOD, faults=[], opens=0, sessions=0, acknowledged=0, on_open=0)
    assert _judged(nothing) is Judgement.INCONCLUSIVE


def test_a_broken_promise_counts_also_in_a_short_run() -> None:
    assert _judged(replace(GOOD, faults=[], findings=[FINDING])) is Judgement.FAILED


def test_many_findings_are_shown_in_part_and_counted() -> None:
    texts = conditions.failures(replace(GOOD, findings=[FINDING] * 50))
    assert len(texts) == 21
    assert texts[-1].startswith("30 more findings")
