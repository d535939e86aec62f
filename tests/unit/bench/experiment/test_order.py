"""Systems that are compared alternate, with the same load, and each run is there once."""

from itertools import pairwise
from pathlib import Path

import msgspec

from bench.experiment import order, plan
from bench.experiment.order import RunPlan
from bench.experiment.plan import Plan, Sessions

PLANS = Path(plan.__file__).with_name("plans")


def _runs(name: str) -> list[RunPlan]:
    return order.runs(plan.load(PLANS / f"{name}.toml"))


def _system(run: RunPlan) -> str:
    system = run.cells[0].system
    return system.name if system else ""


def test_every_cell_runs_as_often_as_the_plan_says_and_has_a_place_of_its_own() -> None:
    loaded = plan.load(PLANS / "full.toml")
    runs = order.runs(loaded)
    names = [name for run in runs for name in run.names()]
    expected = sum(len(list(plan.cells(each))) * each.repetitions for each in loaded.experiments)
    assert len(set(names)) == len(names) == expected


def test_systems_take_turns_and_change_their_order() -> None:
    runs = _runs("type2")
    rounds = [[_system(run) for run in runs[n : n + 3]] for n in range(0, len(runs), 3)]
    assert all(sorted(each) == sorted(rounds[0]) for each in rounds)
    assert all(one == other[::-1] for one, other in pairwise(rounds))


def test_systems_of_a_round_have_the_same_load_and_rounds_have_not() -> None:
    runs = _runs("type2")
    for n in range(0, len(runs), 3):
        group = runs[n : n + 3]
        assert len({run.seed for run in group}) == 1
        assert (
            len(
                {
                    (run.cells[0].levels["write_ratio"], run.cells[0].levels["period"])
                    for run in group
                }
            )
            == 1
        )
    assert len({run.seed for run in runs}) == len(runs) // 3


def test_platforms_that_are_alone_are_used_up_before_the_next_one_starts() -> None:
    systems = [_system(run) for run in _runs("memory")]
    changes = sum(1 for one, other in pairwise(systems) if one != other)
    assert changes == len(set(systems)) - 1


def test_a_start_up_run_has_all_launchers() -> None:
    (run,) = _runs("startup")
    assert len(run.cells) == 4


def test_repetitions_of_a_cell_have_different_loads() -> None:
    text = plan.load(PLANS / "type2.toml")
    (experiment,) = text.experiments
    assert isinstance(experiment, Sessions)
    twice = Plan(
        name="twice",
        title="",
        about="",
        seed=1,
        experiments=[_twice(experiment)],
    )
    seeds: dict[str, set[int]] = {}
    for run in order.runs(twice):
        seeds.setdefault(run.cells[0].id, set()).add(run.seed)
    assert all(len(each) == 2 for each in seeds.values())


def _twice(experiment: Sessions) -> Sessions:
    return msgspec.structs.replace(experiment, repetitions=2)
