"""The plan of faults is the same for the same seed, has every kind early, and kills more often than it stops."""

import itertools
from collections import Counter

import pytest

from bench.faults.plan import (
    LONGEST_PAUSE,
    LONGEST_STOP,
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


def test_every_round_of_four_has_every_kind_and_one_stop() -> None:
    plan = _first(400)
    for begin in range(0, len(plan), 4):
        part = plan[begin : begin + 4]
        assert {fault.kind for fault in part} == set(Kind)
        assert [fault.deed for fault in part].count(Deed.STOP) == 1


def test_in_sixteen_faults_each_kind_is_killed_three_times_and_stopped_once() -> None:
    count = Counter((fault.kind, fault.deed) for fault in _first(16))
    for kind in Kind:
        assert count[kind, Deed.KILL] == 3
        assert count[kind, Deed.STOP] == 1


def test_a_hundred_kills_fit_into_ten_minutes_with_two_seconds_for_each_return() -> None:
    spent, kills = 0.0, 0
    for fault in faults(3):
        spent += fault.pause + (2.0 if fault.deed is Deed.KILL else fault.stopped)
        if spent > 600:
            break
        kills += fault.deed is Deed.KILL
    assert kills >= 100


@pytest.mark.parametrize("seed", range(5))
def test_durations_stay_within_their_bounds(seed: int) -> None:
    for fault in _first(200, seed):
        assert SHORTEST_PAUSE <= fault.pause <= LONGEST_PAUSE
        assert 0 <= fault.lot < 1
        if fault.deed is Deed.STOP:
            assert SHORTEST_STOP <= fault.stopped <= LONGEST_STOP
        else:
            assert fault.stopped == 0
