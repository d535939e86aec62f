"""The plan of faults is the same for the same seed, has every kind and every deed early, and kills most often."""

import itertools
from collections import Counter

import pytest

from bench.faults.plan import (
    LONGEST_PAUSE,
    LONGEST_STOP,
    PARTS,
    SHORTEST_PAUSE,
    SHORTEST_STOP,
    Deed,
    Fault,
    Kind,
    faults,
)


def _first(count: int, seed: int = 1) -> list[Fault]:
    return list(itertools.islice(faults(seed), count))


def test_the_same_seed_gives_the_same_plan() -> None:
    assert _first(100, seed=7) == _first(100, seed=7)
    assert _first(100, seed=7) != _first(100, seed=8)


def test_every_round_has_every_kind_and_every_deed() -> None:
    plan = _first(400)
    for begin in range(0, len(plan), len(Kind)):
        part = plan[begin : begin + len(Kind)]
        assert {fault.kind for fault in part} == set(Kind)
        deeds = Counter(fault.deed for fault in part)
        assert deeds == {Deed.KILL: 2, Deed.STOP: 1, Deed.TERMINATE: 1, Deed.FLOOD: 1}


def test_in_four_rounds_each_part_is_killed_twice_and_stopped_and_terminated_once() -> None:
    count = Counter((fault.kind, fault.deed) for fault in _first(4 * len(Kind)))
    for kind in PARTS:
        assert count[kind, Deed.KILL] == 2
        assert count[kind, Deed.STOP] == count[kind, Deed.TERMINATE] == 1
    assert count[Kind.STRANGER, Deed.FLOOD] == 4


def test_35_kills_fit_into_ten_minutes_with_five_seconds_for_each_return() -> None:
    spent, kills = 0.0, 0
    for fault in faults(3):
        spent += fault.pause + (fault.lasts or 5.0)
        if spent > 600:
            break
        kills += fault.deed is Deed.KILL
    assert kills >= 35


@pytest.mark.parametrize("seed", range(5))
def test_durations_stay_within_their_bounds(seed: int) -> None:
    for fault in _first(200, seed):
        assert SHORTEST_PAUSE <= fault.pause <= LONGEST_PAUSE
        assert 0 <= fault.lot < 1
        if fault.deed in {Deed.STOP, Deed.FLOOD}:
            assert SHORTEST_STOP <= fault.lasts <= LONGEST_STOP
        else:
            assert fault.lasts == 0
