"""Plans say which cells there are; what cannot be run is refused with the place."""

from pathlib import Path

import pytest

from bench.experiment import plan
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
