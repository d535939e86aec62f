"""Conclusions follow from cells: a verdict needs a whole interval, and what was not measured is said."""

import msgspec
import pytest

from bench.experiment import conclusions
from bench.experiment.conclusions import Measured
from bench.experiment.plan import Goal, Sessions
from bench.experiment.record import Cell, Estimate, Group, Operation, System, Verdict
from bench.experiment.statistics import Latencies

STANDBY, TRIVIAL, ON_DEMAND = "standby/fork", "trivial/spawn", "on-demand/spawn"


def _plan(*goals: Goal) -> Sessions:
    return Sessions(
        name="type2",
        title="t",
        about="a",
        systems=[STANDBY, TRIVIAL],
        users=[105],
        active=[56],
        write_ratio=[0.5],
        period=[10],
        goals=list(goals),
    )


def _measured(system: str, login: float, memory: float = 100.0, failed: int = 0) -> Measured:
    approach, _, launcher = system.partition("/")
    values = [login * (1 + n / 1000) for n in range(200)]
    latencies = {"LOGIN": Latencies.of(values, list(range(200)))}
    operation = Operation(
        count=200, failed=failed, mean=login, p50=None, p95=None, p99=None, max=login
    )
    group = Group(
        processes=1,
        pss=memory,
        rss=memory,
        enclaves=None,
        waiting=memory / 2,
        processors=0,
        switches=0,
    )
    cell = Cell(
        id=system,
        system=System(approach=approach, launcher=launcher),
        levels={
            "users": 105,
            "servers": 56 if approach == "standby" else 105,
            "active": 56,
            "write_ratio": 0.5,
            "period": 10,
        },
        runs=1,
        valid=1,
        problems=[],
        operations={"LOGIN": operation},
        throughput=1.0,
        groups={"servers": group},
    )
    return Measured(cell, latencies)


def _goal(saved: float) -> Goal:
    return Goal(system=STANDBY, against=TRIVIAL, active=56, saved=saved)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.9, 1.0, Verdict.MET), (1.2, 1.3, Verdict.MISSED), (1.0, 1.2, Verdict.UNDECIDED)],
)
def test_only_a_whole_interval_decides(low: float, high: float, verdict: Verdict) -> None:
    estimate = Estimate(value=(low + high) / 2, low=low, high=high)
    assert conclusions.judge_at_most(estimate, 1.1) is verdict
    flipped = {Verdict.MET: Verdict.MISSED, Verdict.MISSED: Verdict.MET}
    assert conclusions.judge_at_least(estimate, 1.1) is flipped.get(verdict, verdict)


@pytest.mark.parametrize(("saved", "verdict"), [(0.9, Verdict.MET), (0.96, Verdict.MISSED)])
def test_saved_memory_is_judged(saved: float, verdict: Verdict) -> None:
    cells = [_measured(STANDBY, 10, memory=5), _measured(TRIVIAL, 10, memory=100)]
    (first, waiting, *_) = conclusions.of(_plan(_goal(saved)), cells, [])
    assert first.estimate
    assert first.estimate.value == pytest.approx(95)
    assert first.verdict is verdict
    assert first.published.startswith("44.80 %")
    assert "before the first LOGIN" in waiting.text


def test_a_goal_without_figures_is_not_met() -> None:
    (said, *_) = conclusions.of(_plan(_goal(0.9)), [_measured(STANDBY, 10)], [])
    assert said.verdict is Verdict.NOT_MEASURED


def test_standby_is_compared_with_trivial_in_every_percentile() -> None:
    cells = [_measured(STANDBY, 15), _measured(TRIVIAL, 10)]
    compared = list(conclusions.comparisons(_plan(), cells))
    assert [each.percentile for each in compared] == [50, 95, 99]
    assert all(each.verdict is Verdict.MISSED for each in compared)
    assert all(each.ratio.value == pytest.approx(1.5) for each in compared)
    said = [each for each in conclusions.of(_plan(), cells, compared) if each.unit == "ratio"]
    assert [each.verdict for each in said] == [Verdict.MISSED] * 3
    assert "missed in 1" in said[0].note


def test_cells_with_other_levels_are_not_compared() -> None:
    other = _measured(TRIVIAL, 10)
    levels = {**other.cell.levels, "period": 60}
    apart = Measured(msgspec.structs.replace(other.cell, levels=levels), other.latencies)
    assert not list(conclusions.comparisons(_plan(), [_measured(STANDBY, 10), apart]))


def test_simulated_systems_and_platforms_that_were_alone_are_not_compared() -> None:
    simulated = _measured("trivial/simulated-enclave", 10)
    assert not list(conclusions.comparisons(_plan(), [_measured(STANDBY, 10), simulated]))
    alone = msgspec.structs.replace(_plan(), alone=True)
    cells = [_measured(STANDBY, 10), _measured(TRIVIAL, 10)]
    assert list(conclusions.comparisons(_plan(), cells))
    assert not list(conclusions.comparisons(alone, cells))


def test_failures_are_counted_and_on_demand_stands_beside() -> None:
    cells = [_measured(STANDBY, 10, failed=1), _measured(ON_DEMAND, 300)]
    said = list(conclusions.of(_plan(), cells, []))
    failures = [each for each in said if each.text.startswith("Failed requests")]
    assert [each.verdict for each in failures] == [Verdict.MISSED, Verdict.MET]
    beside = said[-1]
    assert beside.verdict is Verdict.MEASURED
    assert beside.estimate
    assert beside.estimate.value == pytest.approx(30)
