"""What processes used is read from their samples: memory at full activity, rates over the whole run."""

import pytest

from bench.experiment import usage
from bench.experiment.outcome import Outcome
from bench.experiment.resources import SERVERS, WRAPPERS, Sample

OUTCOME = Outcome(
    seconds=10, measured_seconds=10, full_from=4, full_until=8, generator=None, problems=[]
)


def _sample(at: float, pid: int, pss: float | None, used: float = 0, role: str = SERVERS) -> Sample:
    return Sample(at, role, pid, "python", used, pss, 2 * (pss or 0), None, int(10 * used), 0)


def test_memory_is_that_of_full_activity_and_of_the_beginning() -> None:
    samples = [_sample(at, pid, at + 1) for at in range(10) for pid in (1, 2)]
    found = usage.by_role(samples, OUTCOME)[SERVERS]
    assert found.pss == [2 * (at + 1) for at in (4, 5, 6, 7, 8)]
    assert found.processes == [2] * 5
    assert found.waiting == 2


def test_without_a_reading_at_full_activity_the_nearest_counts() -> None:
    samples = [_sample(0, 1, 5), _sample(9, 1, 7), _sample(9.5, 1, 8), _sample(6, 1, None)]
    samples.sort(key=lambda each: each.at_s)
    assert usage.by_role(samples, OUTCOME)[SERVERS].pss == [7]


def test_rates_count_processes_that_come_and_go_from_their_birth() -> None:
    samples = [
        _sample(0, 1, 1, used=5.0),
        _sample(5, 1, 1, used=6.0),
        _sample(5, 2, 1, used=0.5),
        _sample(10, 1, 1, used=6.5),
        _sample(10, 3, 1, used=0.5),
    ]
    found = usage.by_role(samples, OUTCOME)[SERVERS]
    assert found.processors == pytest.approx((1.5 + 0.5 + 0.5) / 10)
    assert found.switches == pytest.approx((15 + 5 + 5) / 10)


def test_roles_are_told_apart_and_simulated_memory_has_a_place_of_its_own() -> None:
    enclaves = Sample(5, SERVERS, 0, "simulated enclaves", 0, None, 0, 128.0, 0, 0)
    samples = [_sample(5, 1, 4), enclaves, _sample(5, 9, 30, role=WRAPPERS)]
    found = usage.by_role(samples, OUTCOME)
    assert found[SERVERS].enclaves == [128]
    assert found[SERVERS].pss == [4]
    assert found[SERVERS].processes == [1]
    assert found[WRAPPERS].enclaves == []
