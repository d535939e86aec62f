"""The summary is made from the runs' files: valid runs together, what does not count is said, what is missing too."""

from pathlib import Path

import pytest

from bench.experiment import order, outcome, plan, resources, rows, summary
from bench.experiment.metrics import Gauges
from bench.experiment.outcome import Outcome
from bench.experiment.plan import Plan, PlanError
from bench.experiment.record import Cell
from bench.experiment.resources import SERVERS, Sample
from bench.experiment.rows import Row
from bench.experiment.runner import Runner

PLAN = """
title = "t"
[[experiment]]
kind = "sessions"
name = "type2"
title = "t"
about = "a"
systems = ["standby/fork", "trivial/spawn"]
users = [8]
active = [4]
write_ratio = [0.5]
period = [10]
repetitions = 2
"""
SECONDS = 10.0


@pytest.fixture
def planned(tmp_path: Path) -> Plan:
    file = tmp_path / "p.toml"
    file.write_text(PLAN)
    return plan.load(file)


def _row(operation: str, latency: float, session: int, error: str = "", warm_up: int = 0) -> Row:
    status = 0 if error else 200
    return Row(
        "anna", "customer", session, operation, 1.0, 0.1, 0.0, latency, status, error, warm_up
    )


def _run(out: Path, name: str, latency: float, memory: float, problems: list[str]) -> None:
    """100 answers, one failure, one in the warm-up."""
    place = out / "runs" / name
    place.mkdir(parents=True)
    taken = [_row("LOGIN", latency, session) for session in range(100)]
    taken += [_row("LOGIN", 1, 100, error="timeout"), _row("LOGIN", 9999, 101, warm_up=1)]
    rows.write(place / "requests.csv", taken)
    resources.write(
        place / "resources.csv",
        [
            Sample(at, SERVERS, 7, "python", at, memory, memory, None, 0, 0)
            for at in (0.0, 5.0, 10.0)
        ],
    )
    said = Outcome(
        seconds=SECONDS,
        measured_seconds=SECONDS,
        full_from=4,
        full_until=6,
        generator=None,
        problems=problems,
    )
    outcome.write(place, said)


def _names(planned: Plan, system: str) -> list[str]:
    return [
        name
        for run in order.runs(planned)
        if run.cells[0].system and run.cells[0].system.name == system
        for name in run.names()
    ]


def _cells(planned: Plan, out: Path) -> dict[str, Cell]:
    found = summary.summarise(planned, out, order.runs(planned))
    (experiment,) = found.experiments
    return {each.system.name if each.system else "": each for each in experiment.cells}


def test_valid_repetitions_count_together_and_others_are_said(
    planned: Plan, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    Runner(planned, out, Gauges())
    first, second = _names(planned, "standby/fork")
    _run(out, first, 10, 50, [])
    _run(out, second, 30, 70, [])
    late, missing = _names(planned, "trivial/spawn")
    _run(out, late, 1, 1, ["the load generator was late"])
    found = _cells(planned, out)
    standby, trivial = found["standby/fork"], found["trivial/spawn"]
    assert (standby.runs, standby.valid) == (2, 2)
    login = standby.operations["LOGIN"]
    assert (login.count, login.failed) == (200, 2)
    assert login.mean == pytest.approx(20)
    assert login.max == 30, "the warm-up is in no figure"
    assert login.p50
    assert login.p50.value == 10
    assert standby.throughput == pytest.approx(200 / (2 * SECONDS))
    assert standby.groups[SERVERS].memory == pytest.approx(60)
    assert standby.groups[SERVERS].processors == pytest.approx(1.0)
    assert (trivial.runs, trivial.valid, trivial.problems) == (
        1,
        0,
        ["the load generator was late"],
    )
    assert trivial.operations == {}
    assert missing


def test_what_is_done_is_counted(planned: Plan, tmp_path: Path) -> None:
    out = tmp_path / "out"
    runner = Runner(planned, out, Gauges())
    _run(out, _names(planned, "standby/fork")[0], 10, 50, [])
    found = summary.summarise(planned, out, runner.runs)
    assert not found.complete
    assert (found.runs_done, found.runs_planned) == (1, 4)
    assert found.seconds == SECONDS
    assert [runner.done(run) for run in runner.runs].count(True) == 1


def test_a_run_without_its_outcome_is_not_done(planned: Plan, tmp_path: Path) -> None:
    out = tmp_path / "out"
    runner = Runner(planned, out, Gauges())
    name = _names(planned, "standby/fork")[0]
    _run(out, name, 10, 50, [])
    (out / "runs" / name / outcome.FILE).unlink()
    assert not any(runner.done(run) for run in runner.runs)


def test_a_directory_belongs_to_one_plan(planned: Plan, tmp_path: Path) -> None:
    out = tmp_path / "out"
    Runner(planned, out, Gauges())
    Runner(planned, out, Gauges())
    file = tmp_path / "p.toml"
    file.write_text(PLAN.replace("[4]", "[3]"))
    with pytest.raises(PlanError, match="another plan"):
        Runner(plan.load(file), out, Gauges())


def test_nothing_is_mixed_with_other_files(planned: Plan, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter.txt").touch()
    with pytest.raises(PlanError, match="not empty"):
        Runner(planned, tmp_path / "out", Gauges())


def test_without_any_run_there_is_a_summary(planned: Plan, tmp_path: Path) -> None:
    out = tmp_path / "out"
    Runner(planned, out, Gauges())
    assert all(cell.runs == 0 for cell in _cells(planned, out).values())
