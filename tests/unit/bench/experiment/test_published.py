"""The dissertation's numbers: as it prints them, beside ours only where the levels are the same."""

import msgspec
import pytest

from bench.experiment.published import NONE, Row, compared, published
from bench.experiment.record import Cell, Experiment, Level, System
from bench.experiment.results import Results
from tests.support.experiment_results import TRIVIAL, build


@pytest.fixture(scope="module")
def experiments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Experiment]:
    directory = build(tmp_path_factory.mktemp("results"), count=10)
    return {each.name: each for each in Results(directory).summary.experiments}


def row(rows: list[Row], what: str) -> Row:
    (found,) = [each for each in rows if each.what.startswith(what)]
    return found


def baseline(experiments: dict[str, Experiment], **levels: Level) -> Experiment:
    """One trivial cell of type2, with these levels."""
    whole = experiments["type2"]
    cell = next(each for each in whole.cells if each.system == TRIVIAL)
    changed: Cell = msgspec.structs.replace(cell, levels={**cell.levels, **levels})
    return msgspec.structs.replace(whole, name="baseline", cells=[changed])


def test_every_number_says_where_it_is_from() -> None:
    data = published()
    assert [each.source for each in data.latency] == [
        "table 5.2",
        "table 5.3",
        "table 5.4",
        "table 5.5",
    ]
    assert data.latency[0].by_servers[105] == (676.812, 1012.090, 1131.732)
    assert data.allocated.by_servers == {105: 13.28, 140: 17.78, 175: 23.02}
    assert [each.percent for each in data.saved] == [44.80, 91.71]
    assert [(each.mean, each.lowest, each.highest) for each in data.startup] == [
        (380, 310, 480),
        (2778, 1854, 7509),
    ]


def test_simulated_starts_stand_beside_real_ones_and_are_called_simulated(
    experiments: dict[str, Experiment],
) -> None:
    rows, differs = compared(experiments["startup"])
    assert row(rows, "Enclave in a running").theirs == "380 ms on average (310 to 480 ms)"
    assert row(rows, "Enclave in a running").ours.startswith("simulated enclave: ")
    assert row(rows, "Container and").ours.startswith("simulated container + enclave: ")
    assert "a setting, not a finding" in differs


def test_percentiles_stand_beside_those_of_as_many_servers(
    experiments: dict[str, Experiment],
) -> None:
    rows, _ = compared(baseline(experiments))
    assert len(rows) == 15
    assert row(rows, "LOGIN, 105").theirs == "677 / 1,012 / 1,132 ms"
    assert row(rows, "LOGIN, 105").ours.startswith("trivial (fork): ")
    assert row(rows, "LOGIN, 140").ours == NONE
    assert row(rows, "Memory of 105").ours == "trivial (fork): 1.23 GB"


@pytest.mark.parametrize("levels", [{"users": 104}, {"period": 60}, {"write_ratio": 0.1}])
def test_other_levels_are_not_compared(
    experiments: dict[str, Experiment], levels: dict[str, Level]
) -> None:
    rows, _ = compared(baseline(experiments, **levels))
    assert row(rows, "LOGIN, 105").ours == NONE


def test_memory_saved(experiments: dict[str, Experiment]) -> None:
    rows, _ = compared(experiments["type2"])
    assert row(rows, "Memory saved against trivial, 56").theirs == "44.80 %"
    ours = "standby (fork) against trivial (fork): 46.7 %"
    assert row(rows, "Memory saved against trivial, 56").ours == ours


def test_a_simulated_enclave_is_not_compared_with_a_server_without(
    experiments: dict[str, Experiment],
) -> None:
    whole = experiments["memory"]
    mixed = [
        cell
        for cell in whole.cells
        if cell.system in {TRIVIAL, System(approach="standby", launcher="simulated-enclave")}
    ]
    rows, _ = compared(msgspec.structs.replace(whole, cells=mixed))
    assert {each.ours for each in rows} == {NONE}


def test_ingress_controllers_that_are_not_here_have_no_numbers_of_ours(
    experiments: dict[str, Experiment],
) -> None:
    rows, _ = compared(experiments["ingress"])
    assert row(rows, "Contour, 800 backends, 800").ours == "not built here"
    assert row(rows, "Voyager, 800 backends, 1,600").theirs == "831,612"
    assert "200 clients" in row(rows, "Voyager, 800 backends, 1,600").ours


def test_an_experiment_that_the_dissertation_has_not_has_no_rows(
    experiments: dict[str, Experiment],
) -> None:
    other = msgspec.structs.replace(experiments["type2"], name="nothing-like-it")
    assert compared(other) == ([], "")
    smaller = msgspec.structs.replace(experiments["type2"], name="type2-small")
    assert compared(smaller).rows == compared(experiments["type2"]).rows
