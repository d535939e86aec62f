"""Plans say which cells there are; what cannot be run is refused with the place."""

from pathlib import Path
from typing import get_args

import pytest

from app_wrapper.settings import LauncherKind
from bench.experiment import plan
from bench.experiment.ingress.balancers import Way
from bench.experiment.plan import PlanError, Sessions
from bench.experiment.record import System

PLANS = Path(plan.__file__).with_name("plans")
SESSIONS = """
title = "t"
[[experiment]]
kind = "sessions"
name = "short"
title = "t"
about = "a"
systems = ["standby/fork", "trivial/spawn"]
users = [8]
"""
GOAL = (
    'goals = [{{ system = "{system}", against = "trivial/spawn", active = {active}, saved = 0.5 }}]'
)
STARTUP = """
title = "t"
[[experiment]]
kind = "startup"
name = "starts"
title = "t"
about = "a"
launchers = ["{launcher}"]
starts = 1
pause = 0
"""
INGRESS = """
title = "t"
[[experiment]]
kind = "ingress"
name = "connections"
title = "t"
about = "a"
ways = ["{way}"]
backends = [1]
rates = {rates}
seconds = 1
"""


def _figures(*figures: str) -> str:
    tables = ", ".join(f'{{ title = "t", {each} }}' for each in figures)
    return f"hours = [1]\nfigures = [{tables}]"


def test_a_plan_names_what_there_is_to_launch_and_to_route_with(tmp_path: Path) -> None:
    """Only a run would show a name that nothing has."""
    assert {*get_args(plan.Routed)} == {*Way}
    assert {*get_args(plan.LaunchedBy)} <= {*LauncherKind}
    named = [STARTUP.format(launcher=each) for each in get_args(plan.LaunchedBy)]
    named += [INGRESS.format(way=each, rates="[1]") for each in get_args(plan.Routed)]
    for text in named:
        (experiment,) = plan.load(_file(tmp_path, text)).experiments
        assert len(list(plan.cells(experiment))) == 1


def _file(tmp_path: Path, text: str, name: str = "plan.toml") -> Path:
    file = tmp_path / name
    file.write_text(text)
    return file


@pytest.mark.parametrize("file", sorted(PLANS.glob("*.toml")), ids=lambda file: file.stem)
def test_every_shipped_plan_can_be_used(file: Path) -> None:
    loaded = plan.load(file)
    ids = [cell.id for each in loaded.experiments for cell in plan.cells(each)]
    assert len(set(ids)) == len(ids) > 0


def test_the_plans_of_the_dissertation_are_shipped() -> None:
    names = {file.stem for file in PLANS.glob("*.toml")}
    wanted = {
        "startup",
        "ingress",
        "baseline",
        "type1",
        "type2",
        "memory",
        "scale",
        "quick",
        "full",
    }
    assert wanted <= names


def test_a_cell_is_a_combination_of_levels_and_trivial_has_a_server_for_each_user(
    tmp_path: Path,
) -> None:
    text = SESSIONS + "active = [4, 2]\nwrite_ratio = [0.5]\nperiod = [10, 60]\nspare = 1"
    (experiment,) = plan.load(_file(tmp_path, text)).experiments
    cells = list(plan.cells(experiment))
    assert len(cells) == 2 * 2 * 2
    servers = {
        (cell.system.approach if cell.system else "", cell.levels["active"]): cell.levels["servers"]
        for cell in cells
    }
    assert servers == {("standby", 4): 5, ("standby", 2): 3, ("trivial", 4): 8, ("trivial", 2): 8}


def test_without_active_all_users_are(tmp_path: Path) -> None:
    (experiment,) = plan.load(_file(tmp_path, SESSIONS + "hours = [1]")).experiments
    assert [cell.levels["active"] for cell in plan.cells(experiment)] == [8, 8]


def test_ids_are_names_of_directories(tmp_path: Path) -> None:
    (experiment,) = plan.load(
        _file(tmp_path, SESSIONS + "write_ratio = [0.5]\nperiod = [10]")
    ).experiments
    assert isinstance(experiment, Sessions)
    cell = next(iter(plan.cells(experiment)))
    assert cell.system == System(approach="standby", launcher="fork")
    assert cell.id == "short-standby-fork-users-8-servers-8-active-8-write-ratio-0.5-period-10"


def test_a_plan_includes_others(tmp_path: Path) -> None:
    _file(tmp_path, SESSIONS + "hours = [1]", "other.toml")
    loaded = plan.load(_file(tmp_path, 'title = "all"\ninclude = ["other.toml"]'))
    assert [each.name for each in loaded.experiments] == ["short"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('title = "t"', "nothing is included"),
        ("title = ", "cannot use the plan"),
        (SESSIONS, "set write_ratio and period, or hours"),
        (SESSIONS + "hours = [1]\nperiod = [10]\nwrite_ratio = [0]", "or hours"),
        (SESSIONS + "hours = [1]\nactive = [9]", "more users are active"),
        (SESSIONS + "hours = [1]\nsurprise = 1", "surprise"),
        (SESSIONS + 'hours = [1]\ncompression = "x"', "compression"),
        (SESSIONS.replace("standby/fork", "standby/magic") + "hours = [1]", "systems"),
        (SESSIONS + _figures('form = "pie"'), "pie"),
        (SESSIONS + _figures('form = "bars", each = "colour"'), "no level 'colour'"),
        (SESSIONS + _figures('form = "bars", series = "system, size"'), "no level 'size'"),
        (SESSIONS + _figures('form = "bars"', 'form = "bars"'), "overwrite the other"),
        (SESSIONS + "hours = [1, 1]", "a value is named twice"),
        (SESSIONS + "hours = [1]\n" + GOAL.format(system="on-demand/fork", active=8), "not run"),
        (SESSIONS + "hours = [1]\n" + GOAL.format(system="standby/fork", active=3), "not run"),
        (STARTUP.format(launcher="magic"), "launchers"),
        (INGRESS.format(way="magic", rates="[1]"), "ways"),
        (INGRESS.format(way="hook", rates="[]"), "no runs"),
        (
            SESSIONS + "hours = [1]" + SESSIONS.replace('title = "t"\n[[', "[[", 1) + "hours = [1]",
            "same name",
        ),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        plan.load(_file(tmp_path, text))


def test_a_plan_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"nowhere\.toml"):
        plan.load(tmp_path / "nowhere.toml")
