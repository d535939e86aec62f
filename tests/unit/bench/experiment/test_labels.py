"""Names for people."""

import pytest

from bench.experiment import labels
from bench.experiment.record import Cell, Level, System


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("standby/fork", "standby (fork)"),
        ("trivial/fork", "trivial (fork)"),
        ("trivial/spawn", "trivial (spawn)"),
        ("on-demand/spawn", "on-demand (spawn)"),
        ("on-demand/simulated-enclave", "on-demand (simulated enclave)"),
        ("standby/simulated-container-enclave", "standby (simulated container + enclave)"),
    ],
)
def test_systems(name: str, label: str) -> None:
    assert labels.named_system(name) == label


@pytest.mark.parametrize("approach", ["standby", "trivial", "on-demand"])
@pytest.mark.parametrize("launcher", ["simulated-enclave", "simulated-container-enclave"])
def test_a_simulated_launcher_is_always_called_simulated(approach: str, launcher: str) -> None:
    assert "simulated" in labels.system(System(approach=approach, launcher=launcher))
    assert labels.level("launcher", launcher, {}).startswith("simulated")


@pytest.mark.parametrize(
    ("name", "value", "label"),
    [
        ("write_ratio", 0.5, "50 % writes"),
        ("write_ratio", 0.0, "0 % writes"),
        ("period", 10, "every 10 s"),
        ("active", 56, "56 of 105 users active"),
        ("hours", 3, "3 h of readings"),
        ("backends", 1600, "1,600 backends"),
        ("rate", 2000.0, "2,000 connections/s"),
        ("way", "hook", "Lua hook"),
        ("launcher", "fork", "fork"),
        ("something_new", 0.25, "something new 0.25"),
    ],
)
def test_levels(name: str, value: Level, label: str) -> None:
    assert labels.level(name, value, {"users": 105}) == label


def test_users_active_without_the_number_of_users() -> None:
    assert labels.level("active", 56, {}) == "56 users active"


def test_a_cell_says_everything_that_it_is() -> None:
    cell = Cell(
        id="a",
        system=System(approach="standby", launcher="fork"),
        levels={"users": 105, "active": 7, "period": 60},
        runs=0,
        valid=0,
        problems=[],
        operations={},
        throughput=0,
        groups={},
    )
    assert labels.whole(cell) == "standby (fork), 7 of 105 users active, every 60 s"
    assert labels.named(cell, ["period", "rate"]) == "every 60 s"


def test_operations_come_as_in_a_session() -> None:
    assert labels.in_order(["LOGOUT", "OTHER", "WRITE", "LOGIN"]) == [
        "LOGIN",
        "WRITE",
        "LOGOUT",
        "OTHER",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1012.09, "1,012"),
        (344.9, "345"),
        (34.49, "34.5"),
        (3.449, "3.45"),
        (0.0344, "0.034"),
        (0, "0"),
    ],
)
def test_three_digits_mean_something(value: float, text: str) -> None:
    assert labels.significant(value) == text


def test_the_ends_of_an_interval_have_its_values_decimals() -> None:
    assert labels.significant(0.97, 1.04) == "0.97"
    assert labels.significant(96.4, 104.0) == "96"
